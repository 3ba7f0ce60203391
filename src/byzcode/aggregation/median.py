"""Coordinate-wise median (Yin et al., 2018, "Byzantine-robust distributed learning")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.aggregation.rule import Rule, minority
from byzcode.kernels import order

if TYPE_CHECKING:
    from torch import Tensor


def median(messages: Tensor, f: int) -> Tensor:
    """Coordinate-wise median; for an even number of messages the mid-point of the two central ones.

    Shapes: (..., N, D) to (..., D). Cost: N log N D. Bears f < N/2 liars, who may send infinities and NaN; ``f``
    itself is not used. Robustness (Allouah et al. 2023, 2302.01772): kappa <= 4 (1 + f / (N - 2 f))^2.
    """
    return order.median(messages)


ENTRY = Rule(median, minority)
