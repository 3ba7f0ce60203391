"""Coordinate-wise median (Yin et al., 2018, "Byzantine-robust distributed learning")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.aggregation.rule import Rule, minority, unevenness
from byzcode.kernels import order

if TYPE_CHECKING:
    from torch import Tensor


def median(messages: Tensor, f: int) -> Tensor:
    """Coordinate-wise median; for an even number of messages, the mid-point of the two central values.

    Shapes: (..., N, D) to (..., D). Cost: N log N D. Tolerates f < N/2 liars, who may send infinities and NaN; ``f``
    itself is not used. Robustness (Allouah et al. 2023, 2302.01772): kappa <= 4 (1 + f / (N - 2 f))^2.
    """
    return order.median(messages)


def kappa(devices: int, f: int) -> float:
    """4 (1 + f / (N - 2 f))^2 (Allouah et al. 2023)."""
    return 4 * (1 + unevenness(devices, f)) ** 2


def sharp_kappa(devices: int, f: int) -> float:
    """The least constant, derived from the k greatest of the H = N - f honest values of a coordinate.

    The mean of k of H values differs from the mean of all H by at most sqrt((H - k) / k) standard deviations (Cauchy
    and Schwarz). For odd N, the median is at most the least of the k = (N + 1) / 2 - f greatest honest values, which is
    at most their mean. For even N, the median is the mid-point of the N/2-th value and the next, which is at most the
    mid-point of the two least of the k = N/2 - f + 1 >= 2 greatest honest values, which is at most their mean. Both
    bounds are reached if these k values are equal, the other honest values are equal, and all lies are larger. Sums
    over coordinates extend this to vectors.
    """
    if devices % 2:
        return (devices - 1) / (devices + 1 - 2 * f)
    return (devices - 2) / (devices + 2 - 2 * f)


ENTRY = Rule(median, minority, kappa=kappa, sharp_kappa=sharp_kappa, jumps=True)
