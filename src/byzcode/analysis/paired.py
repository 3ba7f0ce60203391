"""Statistics paired over seeds: at one seed two runs meet the same data and the same liars."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]

#: Of each interval; its resamples are drawn from a fixed seed, so that a table comes out again.
CONFIDENCE, RESAMPLES, SEED = 0.95, 9999, 0


class Interval(NamedTuple):
    """A mean over seeds and its bootstrap interval."""

    mean: float
    low: float
    high: float


def interval(values: Array) -> Interval:
    """The mean of one number a seed, (R,), with its 95 % interval (bias-corrected and accelerated bootstrap).

    NaN where there is no seed; the mean alone where there is one, or where all are equal.
    """
    if len(values) == 0:
        return Interval(np.nan, np.nan, np.nan)
    mean = float(values.mean())
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return Interval(mean, mean, mean)
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (np.sort(values),),  # the same in whatever order the seeds come
            np.mean,
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            method="BCa",
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    low, high = (
        (float(found.low), float(found.high))
        if np.isfinite([found.low, found.high]).all()
        else (float(values.min()), float(values.max()))
    )
    return Interval(mean, low, high)


def below(values: Array, limit: float = 0.0) -> float:
    """The p-value of "not below ``limit``" for one number a seed: Wilcoxon's signed rank test, one-sided, exact.

    It asks for the order of the numbers only, so the loss at which a seed that ran away is given up may stand for where
    it goes. Numbers that are the limit say nothing and are left out; of equal ones the ranks are averaged, and
    the distribution is that of the averaged ranks (that of scipy's exact test is not, and rejects too often then).
    """
    from scipy import stats

    away = (values - limit)[values != limit]
    doubled = np.rint(2 * stats.rankdata(np.abs(away))).astype(int)  # whole numbers, averaged or not
    chances = np.ones(1)  # that the ranks of the numbers above add up to 0, 1, 2, ..., were each side as likely
    for rank in doubled:
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    return min(1.0, float(chances[: doubled[away > 0].sum() + 1].sum()))


def above(values: Array, limit: float = 0.0) -> float:
    """The p-value of "not above ``limit``"."""
    return below(-values, -limit)


def holm(p_values: Sequence[float]) -> Array:
    """Adjusted p-values (Holm 1979): at most ``level`` of all true hypotheses is rejected by chance."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
