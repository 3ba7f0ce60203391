"""NaN in place of a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.attacks.attack import Attack
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


def nan(messages: Tensor, threat: Threat, draws: Draws) -> Tensor:
    """Each liar sends NaN in every entry.

    Shapes: (R, N, D) to (R, N, D). The liars know nothing. A rule that tolerates f liars must tolerate this attack.
    """
    return threat.replace(messages, torch.full_like(threat.of_liars(messages), torch.nan))


ENTRY = Attack(nan, frozenset())
