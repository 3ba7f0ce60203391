"""Coordinate-wise trimmed mean, CWTM (Yin et al., 2018, "Byzantine-robust distributed learning")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.aggregation.rule import Rule, minority, unevenness
from byzcode.kernels import order

if TYPE_CHECKING:
    from torch import Tensor


def trimmed_mean(messages: Tensor, f: int) -> Tensor:
    """Per coordinate, the mean of the values without the f largest and the f smallest.

    Shapes: (..., N, D) to (..., D). Cost: N log N D. Tolerates f < N/2 liars, who may send infinities and NaN (a NaN
    counts as largest). Robustness (Allouah et al. 2023, 2302.01772), a = f / (N - 2 f): kappa <= 6 a (1 + a).
    """
    # The kernel averages the kept values. The sum minus the extremes would cancel badly with huge Byzantine values.
    return order.trimmed_mean(messages, f)


def kappa(devices: int, f: int) -> float:
    """6 a (1 + a), a = f / (N - 2 f) (Allouah et al. 2023)."""
    a = unevenness(devices, f)
    return 6 * a * (1 + a)


def sharp_kappa(devices: int, f: int) -> float:
    """The constant f / (N - 2 f), the least that any rule can have.

    Of N sorted values, the (f + j)-th lies between the j-th and the (f + j)-th of the H = N - f honest values. So the
    result lies between the means of the N - 2 f least and of the N - 2 f greatest honest values. The mean of k of H
    values differs from the mean of all H by at most sqrt((H - k) / k) standard deviations (Cauchy and Schwarz). Sums
    over coordinates extend this to vectors.
    """
    return unevenness(devices, f)


ENTRY = Rule(trimmed_mean, minority, kappa=kappa, sharp_kappa=sharp_kappa)
