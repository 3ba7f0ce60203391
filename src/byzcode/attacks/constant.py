"""A constant vector in place of a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.attacks.attack import Attack
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Value = Annotated[float, Field(description="Value of every entry of a lie.")]


def constant(messages: Tensor, threat: Threat, draws: Draws, *, value: Value = -100.0) -> Tensor:
    """Each liar sends ``value`` in every entry (the "constant" attack of DRACO, Chen et al. 2018, 1803.09877).

    Shapes: (R, N, D) to (R, N, D). The liars know nothing.
    """
    lies = torch.full_like(threat.of_liars(messages), value, dtype=torch.float64)
    return threat.replace(messages, lies.to(messages.dtype))  # a value beyond the range of float32 becomes infinite


ENTRY = Attack(constant, frozenset())
