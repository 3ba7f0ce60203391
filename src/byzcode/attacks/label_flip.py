"""Label flipping: Byzantine devices that compute honestly on poisoned data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.attacks.attack import Attack

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


def label_flip(messages: Tensor, threat: Threat, draws: Draws) -> Tensor:
    """Each liar sends the message that it would send honestly if all its labels had the other sign (y to -y).

    Shapes: (R, N, D) to (R, N, D). A liar knows only its own data. Cost: that of computing all gradients once more.
    """
    return threat.replace(messages, threat.of_liars(threat.relabelled()))


ENTRY = Attack(label_flip, frozenset({"labels"}))
