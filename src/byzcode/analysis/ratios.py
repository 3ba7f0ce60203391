"""Ratios of the levels of runs, seed by seed, and what they say: an effect, an interval and two p-values."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from byzcode.analysis.levels import Array, Levels, Mask
from byzcode.analysis.paired import below, interval

#: Where fewer than this part of the seeds are settled on both sides, an effect is said as a bound.
ENOUGH = 0.5
#: The seeds that are known speak for all, as long as this p-value is left were all others against them.
WORST = 0.05
NOWHERE = "none at a plateau"


class Outcome(NamedTuple):
    """What a test found.

    ``neutral`` is the effect that separates supported from refuted, ``band`` the margin within which a claim of
    equality holds; one of the two is NaN. ``p_support`` and ``p_refute`` are one-sided, before any correction.
    """

    effect: float
    low: float
    high: float
    unit: str
    p_support: float
    p_refute: float
    pairs: int
    neutral: float = np.nan
    band: tuple[float, float] = (np.nan, np.nan)
    note: str = ""


class Pairs(NamedTuple):
    """Logarithms of ratios, one a seed, and which of them are known: as they are, or as a bound of where they go."""

    logs: Array
    settled: Mask
    at_most: Mask
    at_least: Mask
    first_diverged: Mask
    second_diverged: Mask


def pairs_of(first: Levels, second: Levels, *, both_end: bool = False) -> Pairs:
    """The ratios of two levels. Where both diverged (or either, if both must end), nothing is known."""
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
    """The logarithm of each level; that of 0 is finite."""
    logs: Array = np.log(np.maximum(levels.level, np.finfo(float).tiny))
    return logs


def p_below(values: Array, known: Mask, limit: float = 0.0) -> float:
    """The p-value of "not below" over the known seeds, if it would hold were all others above; or else that of then.

    For which seeds are not known may hang together with what they would say.
    """
    worst = below(np.where(known, values, np.inf), limit)
    p = below(values[known], limit)
    return p if worst < WORST else max(p, worst)


def p_above(values: Array, known: Mask, limit: float = 0.0) -> float:
    """As :func:`p_below`, of "not above"."""
    return p_below(-values, known, -limit)


def everywhere(masks: Iterable[Mask]) -> Mask:
    """Which seeds are in all of some masks."""
    mask: Mask = reduce(np.logical_and, masks)
    return mask


def known_in(ratios: Pairs) -> Mask:
    """The seeds that have plateaus on both sides."""
    return ratios.settled & ~ratios.first_diverged & ~ratios.second_diverged


def effect_of(ratios: Pairs) -> dict[str, Any]:
    """The geometric mean of the ratios and its interval, over the seeds that have plateaus on both sides.

    Where these are few, no mean is taken: the effect is the greatest, or the least, of what bounds the ratios. A loss
    at which a seed was given up is such a bound.
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
    """Two one-sided tests (Schuirmann 1987) for, and either side (Bonferroni) against."""
    logs, edge = ratios.logs, float(np.log(margin))
    return Outcome(
        **effect_of(ratios),
        unit=unit,
        p_support=max(p_above(logs, ratios.settled, -edge), p_below(logs, ratios.settled, edge)),
        p_refute=min(1.0, 2 * min(p_below(logs, ratios.at_most, -edge), p_above(logs, ratios.at_least, edge))),
        band=(1 / margin, margin),
    )


def of_logs(logs: Array, *, unit: str, p_support: float, p_refute: float, **more: Any) -> Outcome:
    """An outcome whose effect is the geometric mean of some ratios."""
    effect, low, high = (float(np.exp(value)) for value in interval(logs))
    return Outcome(effect, low, high, unit=unit, p_support=p_support, p_refute=p_refute, pairs=len(logs), **more)


def as_times(logs: Array) -> str:
    """The geometric mean of some ratios, as a note says it."""
    return f"{np.exp(logs.mean()):.3g}" if len(logs) else NOWHERE
