"""Mean around the median, MeaMed (Xie et al., 2018, 1802.10116)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.aggregation import median
from byzcode.aggregation.rule import Rule, minority, near
from byzcode.kernels import order

if TYPE_CHECKING:
    from torch import Tensor


def meamed(messages: Tensor, f: int) -> Tensor:
    """Per coordinate, the mean of the N - f values nearest to the median.

    Shapes: (..., N, D) to (..., D). Cost: N log N D, one sort; of two values equally near, the lower is taken.
    Tolerates f < N/2 liars, who may send infinities and NaN. Robustness (derived as for Phocas, from the constant of
    the median, a = f / (N - 2 f)): kappa <= 4 f / (N - f) (1 + 4 (1 + a)^2).
    """
    return order.mean_near_median(messages, f)


ENTRY = Rule(meamed, minority, kappa=near(median.kappa), sharp_kappa=near(median.sharp_kappa), title="MeaMed")
