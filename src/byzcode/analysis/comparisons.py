"""The tests of claims, one function a kind: from the levels of runs to an effect, an interval and two p-values."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from byzcode.analysis.levels import Array, Levels, Mask, Run
from byzcode.analysis.paired import below, interval
from byzcode.studies.claim import Equivalent, Falls, Grows, Law, Lower, Predicted
from byzcode.theory.constants import coded_variance

#: Where fewer than this part of the seeds are settled on both sides, an effect is said as a bound.
ENOUGH = 0.5

#: The seeds that are known speak for all, as long as this p-value is left were all others against them.
WORST = 0.05

NOWHERE = "none at a plateau"

#: Levels may be 0, infinite or none, and ratios of them too large for a number: what follows is infinite or none, too.
_of_any_levels = np.errstate(divide="ignore", invalid="ignore", over="ignore")


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


@_of_any_levels
def lower(claim: Lower, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Is the ratio of levels below ``factor``?

    A level that still falls bounds its plateau from above, one that still rises from below: such a seed counts for
    the side on which the bound is on the safe side, and for no other.
    """
    found = _pairs(*(each[0].levels(claim.quantity, claim.at) for each in (runs, against)))
    limit = float(np.log(claim.factor))
    return Outcome(
        **_effect(found),
        unit=f"ratio of {_what(claim)}",
        p_support=_below(found.logs, found.at_most, limit),
        p_refute=_above(found.logs, found.at_least, limit),
        neutral=claim.factor,
    )


@_of_any_levels
def equivalent(claim: Equivalent, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Is the ratio of levels between 1 / margin and margin?"""
    one, other = (each[0].levels(claim.quantity, claim.at) for each in (runs, against))
    return _equal(_pairs(one, other), claim.margin, f"ratio of {_what(claim)}")


@_of_any_levels
def falls(claim: Falls, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Does the level fall at every step? Supported where each step does, refuted where any rises."""
    levels = [run.levels(claim.quantity, claim.at) for run in runs]
    steps = [_pairs(after, before) for before, after in itertools.pairwise(levels)]
    effect = _effect(_pairs(levels[-1], levels[0]))
    ratios = "steps: " + ", ".join(_times(step.logs[_known(step)]) for step in steps)
    return Outcome(
        **effect | {"note": "; ".join(filter(None, [ratios, effect["note"]]))},
        unit=f"ratio of {_what(claim)}, last over first",
        p_support=max(_below(step.logs, step.at_most) for step in steps),
        p_refute=min(1.0, len(steps) * min(_above(step.logs, step.at_least) for step in steps)),
        neutral=1.0,
    )


@_of_any_levels
def grows(claim: Grows, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Does the advantage grow along the key? By the slope of a line through it, one a seed.

    A level that still moves bounds the advantage at its place, and with it the slope, on one side: as in :func:`lower`.
    A seed that diverged at a place that counts says nothing of how much an advantage grows.
    """
    one = [run.levels(claim.quantity, claim.at) for run in runs]
    other = [run.levels(claim.quantity, claim.at) for run in against]
    ratio = claim.advantage == "ratio"
    of = _log if ratio else _level
    advantage = np.stack([of(b) - of(a) for a, b in zip(one, other, strict=True)], axis=1)
    where = np.asarray(claim.values, dtype=float)
    change = _slope(advantage, where) * np.ptp(where)
    whole = np.isfinite(change)  # else a place is not known at all, be it the middle one
    places = [_pairs(b, a, both_end=True) for a, b in zip(one, other, strict=True)]
    ends = [(place, up) for place, up in zip(places, where - where.mean(), strict=True) if not np.isclose(up, 0)]
    settled = whole & _all(place.settled for place, _ in ends)
    p_support = _above(change, whole & _all(place.at_least if up > 0 else place.at_most for place, up in ends))
    p_refute = _below(change, whole & _all(place.at_most if up > 0 else place.at_least for place, up in ends))
    shown = [column[place.settled] for column, place in zip(advantage.T, places, strict=True)]
    if ratio:
        return _of_logs(
            change[settled],
            unit="growth of the advantage as a ratio, first to last",
            p_support=p_support,
            p_refute=p_refute,
            neutral=1.0,
            note="advantage: " + ", ".join(map(_times, shown)),
        )
    return Outcome(
        *interval(change[settled]),
        unit="growth of the advantage as a difference, first to last",
        p_support=p_support,
        p_refute=p_refute,
        pairs=int(settled.sum()),
        neutral=0.0,
        note="advantage: " + ", ".join(f"{each.mean():.2g}" if len(each) else NOWHERE for each in shown),
    )


@_of_any_levels
def law(claim: Law, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Is the squared level proportional to a factor of the theory? By the exponent, one a seed.

    A seed that is not at a plateau, or diverged, at one of the places has no exponent.
    """
    levels = [run.levels(claim.quantity, claim.at) for run in runs]
    factor = [_PREDICTED[claim.predicted](run, claim) for run in runs]
    known = _all((*(level.settled & ~level.diverged for level in levels), *(np.isfinite(each) for each in factor)))
    exponent = _slope(np.stack([2 * _log(level) for level in levels], axis=1), np.stack(factor, axis=1))
    known &= np.isfinite(exponent)  # else the factor is the same at all places
    band = (1 - claim.margin, 1 + claim.margin)
    return Outcome(
        *interval(exponent[known]),
        unit="exponent",
        p_support=max(_above(exponent, known, band[0]), _below(exponent, known, band[1])),
        p_refute=min(1.0, 2 * min(_below(exponent, known, band[0]), _above(exponent, known, band[1]))),
        pairs=int(known.sum()),
        band=band,
        note="" if known.any() else f"{NOWHERE} at all places, or the factor is the same at all of them",
    )


@_of_any_levels
def predicted(claim: Predicted, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Is the distance of coded gradients over its closed form between 1 / margin and margin?

    From the gradient in the mean square, or from each other: of H messages the mean squared distance of two is
    2 H / (H - 1) times their mean squared distance from their mean, and in expectation twice the variance.
    """
    run, unit = runs[0], "measured squared distance over the closed form"
    measured = _log_square(run, "honest_dispersion", claim)
    if claim.distance == "each_other":
        honest = run.spec.devices - run.spec.f
        if honest == 1:
            nothing = np.zeros(len(measured), dtype=bool)
            none = _Pairs(np.full(len(measured), np.nan), nothing, nothing, nothing, ~nothing, ~nothing)
            return _equal(none, claim.margin, unit)._replace(note="one honest device: no two messages to compare")
        measured = measured + np.log(honest / (honest - 1))
    else:
        measured = np.logaddexp(measured, _log_square(run, "coding_bias", claim))
    logs = measured - _log_square(run, "heterogeneity", claim) - _closed_form(run, claim)
    known = np.isfinite(logs)
    found = _Pairs(logs, known, known, known, ~known, ~known)
    return _equal(found, claim.margin, unit)


#: The function of each kind of test.
TESTS: dict[str, Callable[[Any, Sequence[Run], Sequence[Run]], Outcome]] = {
    "lower": lower,
    "equivalent": equivalent,
    "falls": falls,
    "grows": grows,
    "law": law,
    "predicted": predicted,
}


def _log_square(run: Run, quantity: str, claim: Any) -> Array:
    found = run.levels(quantity, claim.at)
    logs: Array = np.where(found.settled & ~found.diverged, 2 * _log(found), np.nan)
    return logs


def _closed_form(run: Run, claim: Any) -> Array:
    with np.errstate(divide="ignore"):  # nothing is left of it where a device holds all
        return np.full(len(run.spec.seeds), np.log(coded_variance(run.spec.subsets, run.spec.redundancy)))


#: Logarithms of the factors of a law, (R,); NaN of seeds that are not at a plateau.
_PREDICTED: dict[str, Callable[[Run, Law], Array]] = {
    "coded_variance": _closed_form,
    "heterogeneity": lambda run, claim: _log_square(run, "heterogeneity", claim),
    "dispersion": lambda run, claim: _log_square(run, "honest_dispersion", claim),
}


def _level(levels: Levels) -> Array:
    return levels.level


def _log(levels: Levels) -> Array:
    logs: Array = np.log(np.maximum(levels.level, np.finfo(float).tiny))
    return logs


class _Pairs(NamedTuple):
    """Logarithms of ratios, one a seed, and which of them are known: as they are, or as a bound of where they go."""

    logs: Array
    settled: Mask
    at_most: Mask
    at_least: Mask
    one_diverged: Mask
    other_diverged: Mask


def _pairs(one: Levels, other: Levels, *, both_end: bool = False) -> _Pairs:
    """The ratios of two levels. Where both diverged (or either, if both must end), nothing is known."""
    ends = ~(one.diverged | other.diverged) if both_end else ~(one.diverged & other.diverged)
    return _Pairs(
        _log(one) - _log(other),
        settled=ends & one.settled & other.settled,
        at_most=ends & (one.settled | one.falling) & (other.settled | other.rising),
        at_least=ends & (one.settled | one.rising) & (other.settled | other.falling),
        one_diverged=one.diverged,
        other_diverged=other.diverged,
    )


def _below(values: Array, known: Mask, limit: float = 0.0) -> float:
    """The p-value of "not below" over the known seeds, if it would hold were all others above; or else that of then.

    For which seeds are not known may hang together with what they would say.
    """
    worst = below(np.where(known, values, np.inf), limit)
    p = below(values[known], limit)
    return p if worst < WORST else max(p, worst)


def _above(values: Array, known: Mask, limit: float = 0.0) -> float:
    return _below(-values, known, -limit)


def _all(masks: Iterable[Mask]) -> Mask:
    found: Mask = reduce(np.logical_and, masks)
    return found


def _slope(values: Array, where: Array) -> Array:
    """The least-squares slope of each row of (R, n) over ``where``, (n,) or (R, n)."""
    away = where - where.mean(axis=-1, keepdims=True)
    slope: Array = (values * away).sum(axis=-1) / (away**2).sum(axis=-1)
    return slope


def _equal(found: _Pairs, margin: float, unit: str) -> Outcome:
    """Two one-sided tests (Schuirmann 1987) for, and either side (Bonferroni) against."""
    logs, edge = found.logs, float(np.log(margin))
    return Outcome(
        **_effect(found),
        unit=unit,
        p_support=max(_above(logs, found.settled, -edge), _below(logs, found.settled, edge)),
        p_refute=min(1.0, 2 * min(_below(logs, found.at_most, -edge), _above(logs, found.at_least, edge))),
        band=(1 / margin, margin),
    )


def _known(found: _Pairs) -> Mask:
    """The seeds that have plateaus on both sides."""
    return found.settled & ~found.one_diverged & ~found.other_diverged


def _effect(found: _Pairs) -> dict[str, Any]:
    """The geometric mean of the ratios and its interval, over the seeds that have plateaus on both sides.

    Where these are few, no mean is taken: the effect is the greatest, or the least, of what bounds the ratios. A loss
    at which a seed was given up is such a bound.
    """
    known = _known(found)
    if known.sum() >= ENOUGH * len(known):
        mean, low, high = (float(np.exp(value)) for value in interval(found.logs[known]))
        return {"effect": mean, "low": low, "high": high, "pairs": int(known.sum()), "note": ""}
    above, under = found.at_most & ~found.one_diverged, found.at_least & ~found.other_diverged
    if not (above | under).any():
        return {"effect": np.nan, "low": np.nan, "high": np.nan, "pairs": 0, "note": NOWHERE}
    most = bool(above.sum() >= under.sum())
    logs = found.logs[above if most else under]
    edge = float(np.exp(logs.max() if most else logs.min()))
    return {
        "effect": edge,
        "low": 0.0 if most else edge,
        "high": edge if most else np.inf,
        "pairs": len(logs),
        "note": f"a bound: in each of {len(logs)} seeds the ratio is at {'most' if most else 'least'} this",
    }


def _of_logs(logs: Array, *, unit: str, p_support: float, p_refute: float, **more: Any) -> Outcome:
    effect, low, high = (float(np.exp(value)) for value in interval(logs))
    return Outcome(effect, low, high, unit=unit, p_support=p_support, p_refute=p_refute, pairs=len(logs), **more)


def _times(logs: Array) -> str:
    return f"{np.exp(logs.mean()):.3g}" if len(logs) else NOWHERE


def _what(claim: Lower | Equivalent | Falls) -> str:
    names = {"excess_loss": "excess losses", "loss": "losses", "gradients_computed": "gradients an iteration"}
    part = {"plateau": " at the plateau", "end": " at the end", "start": " at the start"}
    cost = claim.quantity in ("gradients_computed", "bits_sent")
    return names.get(claim.quantity, claim.quantity.replace("_", " ")) + ("" if cost else part[claim.at])
