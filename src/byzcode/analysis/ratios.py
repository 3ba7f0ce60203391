"""Ratios of the levels of runs, seed by seed, with their effect, interval and p-values."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from byzcode.analysis.levels import Array, Levels, Mask
from byzcode.analysis.paired import below, interval

#: An effect is given as a bound if fewer than this part of the seeds have a plateau on both sides.
ENOUGH = 0.5
#: The known seeds decide a test alone if its p-value stays below this even if all unknown seeds contradict it.
WORST = 0.05
NOWHERE = "none at a plateau"


class Chance(NamedTuple):
    """The one-sided p-value of a test over the seeds that can be compared, not corrected.

    ``against`` and ``for_it`` are its values if every other seed counts against the tested statement, or for it.
    ``seeds`` is the number of seeds that can be compared.
    """

    p: float
    against: float
    for_it: float
    seeds: int


NO_CHANCE = Chance(np.nan, np.nan, np.nan, 0)


class Outcome(NamedTuple):
    """The outcome of a test.

    ``neutral`` is the effect that separates supported from refuted, ``band`` the margin within which a claim of
    equality holds; one of the two is NaN.
    """

    effect: float
    low: float
    high: float
    unit: str
    support: Chance
    refute: Chance
    pairs: int
    neutral: float = np.nan
    band: tuple[float, float] = (np.nan, np.nan)
    note: str = ""

    @property
    def p_support(self) -> float:
        """The p-value of "the claim does not hold"."""
        return self.support.p

    @property
    def p_refute(self) -> float:
        """The p-value of "the claim is not wrong"."""
        return self.refute.p


class Pairs(NamedTuple):
    """Logarithms of ratios, one per seed, with masks of those known exactly, as upper bounds, and as lower bounds."""

    logs: Array
    settled: Mask
    at_most: Mask
    at_least: Mask
    first_diverged: Mask
    second_diverged: Mask


def pairs_of(first: Levels, second: Levels, *, both_end: bool = False) -> Pairs:
    """The ratios of two levels. Nothing is known if both diverged, or, with ``both_end``, if either diverged."""
    ends = ~(first.diverged | second.diverged) if both_end else ~(first.diverged & second.diverged)
    return Pairs(
        log_level(first) - log_level(second),
        settled=ends & first.settled & second.settled,
        at_most=ends & (first.settled | first.falling) & (second.settled | second.rising),
        at_least=ends & (first.settled | first.rising) & (second.settled | second.falling),
        first_diverged=first.diverged,
        second_diverged=second.diverged,
    )


def log_level(levels: Levels) -> Array:
    """The logarithm of each level; the logarithm of 0 is finite, that of the smallest normal number."""
    logs: Array = np.log(np.maximum(levels.level, np.finfo(float).tiny))
    return logs


def p_below(values: Array, known: Mask, limit: float = 0.0, *, bounds: Mask | None = None) -> Chance:
    """The p-values of "not below". ``bounds`` are the seeds whose true value is at least this.

    The known seeds decide alone if the p-value stays below WORST with all others counted as above; otherwise the larger
    of the two is taken. This is needed because whether a seed is known may depend on its value. A seed that is known
    only to be above the limit can be compared, but never counts for "below".
    """
    worst = below(np.where(known, values, np.inf), limit)
    alone = below(values[known], limit)
    p = alone if worst < WORST else max(alone, worst)
    above = (bounds if bounds is not None else np.zeros_like(known)) & ~known & (values > limit)
    best = below(np.where(known | above, values, -np.inf), limit)
    return Chance(p, max(p, worst), min(p, best), int((known | above).sum()))


def p_above(values: Array, known: Mask, limit: float = 0.0, *, bounds: Mask | None = None) -> Chance:
    """As :func:`p_below`, for "not above"; ``bounds`` are the seeds whose true value is at most this."""
    return p_below(-values, known, -limit, bounds=bounds)


def all_of(*chances: Chance) -> Chance:
    """The chance of a statement that holds if each of several does: an intersection-union test."""
    p, against, for_it, seeds = zip(*chances, strict=True)
    return Chance(max(p), max(against), max(for_it), min(seeds))


def any_of(*chances: Chance) -> Chance:
    """The chance of a statement that holds if any of several does (Bonferroni)."""
    p, against, for_it = (min(1.0, len(chances) * min(each)) for each in list(zip(*chances, strict=True))[:3])
    return Chance(p, against, for_it, min(chances).seeds)


def everywhere(masks: Iterable[Mask]) -> Mask:
    """The seeds that are in all masks."""
    mask: Mask = reduce(np.logical_and, masks)
    return mask


def known_in(ratios: Pairs) -> Mask:
    """The seeds that have plateaus on both sides and did not diverge."""
    return ratios.settled & ~ratios.first_diverged & ~ratios.second_diverged


def effect_of(ratios: Pairs) -> dict[str, Any]:
    """The geometric mean of the ratios and its interval, over the seeds that have plateaus on both sides.

    If these seeds are few, the effect is a bound instead: the largest upper bound or the smallest lower bound of the
    ratios. The loss at which training of a diverged seed stopped gives such a bound.
    """
    known = known_in(ratios)
    if known.sum() >= ENOUGH * len(known):
        mean, low, high = (float(np.exp(value)) for value in interval(ratios.logs[known]))
        return {"effect": mean, "low": low, "high": high, "pairs": int(known.sum()), "note": ""}
    above, under = ratios.at_most & ~ratios.first_diverged, ratios.at_least & ~ratios.second_diverged
    if not (above | under).any():
        return {"effect": np.nan, "low": np.nan, "high": np.nan, "pairs": 0, "note": NOWHERE}
    most = bool(above.sum() >= under.sum())
    logs = ratios.logs[above if most else under]
    edge = float(np.exp(logs.max() if most else logs.min()))
    return {
        "effect": edge,
        "low": 0.0 if most else edge,
        "high": edge if most else np.inf,
        "pairs": len(logs),
        "note": f"a bound: in each of {len(logs)} seeds the ratio is at {'most' if most else 'least'} this",
    }


def equality(ratios: Pairs, margin: float, unit: str) -> Outcome:
    """Two one-sided tests (Schuirmann 1987) support equality; a test of either side (Bonferroni) refutes it."""
    logs, edge = ratios.logs, float(np.log(margin))
    return Outcome(
        **effect_of(ratios),
        unit=unit,
        support=all_of(p_above(logs, ratios.settled, -edge), p_below(logs, ratios.settled, edge)),
        refute=any_of(
            p_below(logs, ratios.at_most, -edge, bounds=ratios.at_least),
            p_above(logs, ratios.at_least, edge, bounds=ratios.at_most),
        ),
        band=(1 / margin, margin),
    )


def of_logs(logs: Array, *, unit: str, support: Chance, refute: Chance, **more: Any) -> Outcome:
    """An outcome whose effect is the geometric mean of some ratios, given by their logarithms."""
    effect, low, high = (float(np.exp(value)) for value in interval(logs))
    return Outcome(effect, low, high, unit=unit, support=support, refute=refute, pairs=len(logs), **more)


def as_times(logs: Array) -> str:
    """The geometric mean of some ratios, as text for a note."""
    return f"{np.exp(logs.mean()):.3g}" if len(logs) else NOWHERE
