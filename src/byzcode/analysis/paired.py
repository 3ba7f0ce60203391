"""Statistics paired over seeds: with the same seed, two runs see the same data and the same Byzantine devices."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]

#: Settings of the bootstrap intervals. The seed is fixed, so that tables are reproducible.
CONFIDENCE, RESAMPLES, SEED = 0.95, 9999, 0


class Interval(NamedTuple):
    """A mean over seeds and its bootstrap interval."""

    mean: float
    low: float
    high: float


def interval(values: Array) -> Interval:
    """The mean of one number per seed, (R,), with its 95 % interval (bias-corrected and accelerated bootstrap).

    Without seeds all values are NaN. With a single seed or equal numbers, the interval is the mean.
    """
    if len(values) == 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(values.mean())
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return Interval(mean, mean, mean)
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        bootstrapped = stats.bootstrap(
            (np.sort(values),),  # sorted, so that the result does not depend on the order of seeds
            np.mean,
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            method="BCa",
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    low, high = (
        (float(bootstrapped.low), float(bootstrapped.high))
        if np.isfinite([bootstrapped.low, bootstrapped.high]).all()
        else (float(values.min()), float(values.max()))
    )
    return Interval(mean, low, high)


def below(values: Array, limit: float = 0.0) -> float:
    """The p-value of "not below ``limit``" for one number per seed: Wilcoxon's signed rank test, one-sided, exact.

    The test uses only the order of the numbers, so the loss at which training stops a diverged seed can represent that
    seed. Numbers equal to the limit are dropped. Ranks of ties are averaged, and the distribution is that of the
    averaged ranks. (scipy's exact test uses the distribution without ties and then rejects too often.)
    """
    from scipy import stats

    away = (values - limit)[values != limit]
    doubled = np.rint(2 * stats.rankdata(np.abs(away))).astype(int)  # integers, even if ranks are averaged
    chances = np.ones(1)  # null distribution of the (doubled) sum of the ranks above the limit
    for rank in doubled:
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    return min(1.0, float(chances[: doubled[away > 0].sum() + 1].sum()))


def above(values: Array, limit: float = 0.0) -> float:
    """The p-value of "not above ``limit``"."""
    return below(-values, -limit)


def holm(p_values: Sequence[float]) -> Array:
    """Adjusted p-values (Holm 1979), which control the probability of rejecting any true hypothesis."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
