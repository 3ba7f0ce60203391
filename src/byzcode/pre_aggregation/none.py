"""No pre-aggregation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.pre_aggregation.pre_aggregator import PreAggregator

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def none(messages: Tensor, f: int, draws: Draws) -> Tensor:
    """The messages, unchanged. Shapes: (R, N, D) to (R, N, D)."""
    return messages


def kappa(kappa: float, devices: int, f: int) -> float:
    """The constant of the rule."""
    return kappa


ENTRY = PreAggregator(none, kappa=kappa, idle=True, title="no pre-aggregation")
