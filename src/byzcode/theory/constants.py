"""Closed forms of coded gradients, for tests and for overlays.

Notation: N devices, M subsets, r subsets a device, D_k = grad f_k - grad F, betahat^2 = (1/M) sum_k ||D_k||^2. All
expectations are over allocations in which each device draws r of M subsets without replacement. LAD: M -> N, r -> d.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from byzcode.compression.kept import kept_of


def coded_variance(subsets: int, redundancy: int) -> float:
    """E ||g_i - grad F||^2 / betahat^2 = (M - r) / (r (M - 1)): how far a coded gradient is from the true one."""
    return (subsets - redundancy) / (redundancy * (subsets - 1)) if subsets > 1 else 0.0


def coded_distance(subsets: int, redundancy: int, overlap: float | None = None) -> float:
    """E ||g_i - g_j||^2 / betahat^2 = 2 (r - overlap) M / (r^2 (M - 1)) for two devices that share ``overlap`` subsets.

    The default overlap r^2 / M makes it twice :func:`coded_variance`.
    """
    shared = redundancy**2 / subsets if overlap is None else overlap
    return 2 * (redundancy - shared) / redundancy**2 * subsets / (subsets - 1) if subsets > 1 else 0.0


def bias_variance(subsets: int, redundancy: int, devices: int) -> float:
    """E ||mean_i g_i - grad F||^2 / betahat^2 = (M - r) / (r (M - 1) N), with weights 1/r and no liars.

    This error is fixed with the allocation: no rule and no number of iterations removes it.
    """
    return coded_variance(subsets, redundancy) / devices


def uncovered(subsets: int, redundancy: int, devices: int) -> float:
    """Expected number of subsets that no device holds, M (1 - r/M)^N."""
    return float(subsets * (1 - redundancy / subsets) ** devices)


def mean_message_under_sign_flip(alpha: float, coefficient: float) -> float:
    """The mean message is this many times grad F when a fraction alpha multiplies its gradients by ``coefficient``.

    Negative beyond alpha = 1 / (1 + |coefficient|): the plain mean then ascends.
    """
    return 1 - alpha * (1 - coefficient)


def _unevenness(devices: int, f: int) -> float:
    """The least kappa that any rule can have, a = f / (N - 2 f) (Allouah et al. 2023, 2302.01772)."""
    return f / (devices - 2 * f)


def _trimmed_mean(devices: int, f: int) -> float:
    a = _unevenness(devices, f)
    return 6 * a * (1 + a)


def _median(devices: int, f: int) -> float:
    return 4 * (1 + _unevenness(devices, f)) ** 2


def _krum(devices: int, f: int) -> float:
    return 6 * (1 + _unevenness(devices, f))


def _phocas(devices: int, f: int) -> float:
    return 4 * f / (devices - f) * (1 + _trimmed_mean(devices, f))


def _meamed(devices: int, f: int) -> float:
    return 4 * f / (devices - f) * (1 + _median(devices, f))


#: The robustness constant kappa(N, f) of the rules that have one: for every set H of N - f honest devices,
#: ||rule - mean_H||^2 <= kappa (1/|H|) sum_H ||m_i - mean_H||^2. All need f < N / 2.
KAPPA: dict[str, Callable[[int, int], float]] = {
    "trimmed_mean": _trimmed_mean,
    "median": _median,
    "geometric_median": _median,
    "krum": _krum,
    "phocas": _phocas,
    "meamed": _meamed,
}


def _median_sharp(devices: int, f: int) -> float:
    if devices % 2:
        return (devices - 1) / (devices + 1 - 2 * f)
    return (devices - 2) / (devices + 2 - 2 * f)


def _near(kappa: Callable[[int, int], float]) -> Callable[[int, int], float]:
    """The mean of the N - f values nearest to a centre of constant ``kappa``: 4 f / (N - f) (1 + kappa)."""
    return lambda devices, f: 4 * f / (devices - f) * (1 + kappa(devices, f))


#: Smaller constants of the coordinate-wise rules, derived here. Of N values sorted, the (f + j)-th lies between the
#: j-th and the (f + j)-th of the N - f honest ones; so the trimmed mean lies between the means of the N - 2 f least and
#: of the N - 2 f greatest honest values. The mean of k of H values is off theirs by at most sqrt((H - k) / k) standard
#: deviations (Cauchy and Schwarz): kappa = f / (N - 2 f), below which no rule can be. In the same way the median of an
#: odd number is at most the least of the k = (N + 1) / 2 - f greatest honest values, and that at most their mean. For
#: even N it is the mid-point of the N/2-th and the next, so at most that of the two least of the k = N/2 - f + 1 >= 2
#: greatest, and that at most their mean. Both are reached where these k agree, the others do, and all lies lie above.
#: Sums over coordinates give vectors. Phocas becomes 4 f / (N - 2 f).
SHARP_KAPPA: dict[str, Callable[[int, int], float]] = {
    "trimmed_mean": _unevenness,
    "median": _median_sharp,
    "phocas": _near(_unevenness),
    "meamed": _near(_median_sharp),
}


def least_kappa(rule: str, devices: int, f: int) -> float | None:
    """The smallest constant of a rule that is known here, or None where it has none."""
    known = [table[rule](devices, f) for table in (KAPPA, SHARP_KAPPA) if rule in table]
    return min(known, default=None)


def kappa_after_nnm(kappa: float, devices: int, f: int) -> float:
    """The constant of a rule with nearest neighbour mixing in front: 8 f / (N - f) (kappa + 1) (2302.01772)."""
    return 8 * f / (devices - f) * (kappa + 1)


#: delta(D, **options) of the compressors: E ||C(x) - x||^2 <= delta ||x||^2. Exact for the sparsifiers.
DELTA: dict[str, Callable[..., float]] = {
    "identity": lambda dimension: 0.0,
    "random_k": lambda dimension, share, mask="independent": dimension / kept_of(dimension, share) - 1,
    "bernoulli": lambda dimension, share: 1 / share - 1,
    "top_k": lambda dimension, share: 1 - kept_of(dimension, share) / dimension,
    "qsgd": lambda dimension, levels: min(dimension / levels**2, math.sqrt(dimension) / levels),
    "scaled_sign": lambda dimension: 1 - 1 / dimension,
    "natural": lambda dimension: 1 / 8,
}

#: The compressors with E C(x) = x, each device by its own random numbers (but for a shared mask).
UNBIASED = frozenset({"identity", "random_k", "bernoulli", "qsgd", "natural"})
