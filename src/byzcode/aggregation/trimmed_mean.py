"""Coordinate-wise trimmed mean, CWTM (Yin et al., 2018, "Byzantine-robust distributed learning")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.aggregation.rule import Rule, minority
from byzcode.kernels import order

if TYPE_CHECKING:
    from torch import Tensor


def trimmed_mean(messages: Tensor, f: int) -> Tensor:
    """Per coordinate, the mean of what remains without the f largest and the f smallest values.

    Shapes: (..., N, D) to (..., D). Cost: N log N D. Bears f < N/2 liars, who may send infinities and NaN (a NaN
    counts as largest). Robustness (Allouah et al. 2023, 2302.01772), a = f / (N - 2 f): kappa <= 6 a (1 + a).
    """
    # A mean of the kept values, never the sum minus the extremes: huge Byzantine values would cancel.
    return order.trimmed_mean(messages, f)


ENTRY = Rule(trimmed_mean, minority)
