"""The tests of claims, one function per kind: from the levels of runs to an effect, an interval and two p-values."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from byzcode.analysis.levels import Array, Levels, Run
from byzcode.analysis.paired import interval
from byzcode.analysis.ratios import (
    NOWHERE,
    Outcome,
    Pairs,
    all_of,
    any_of,
    as_times,
    effect_of,
    equality,
    everywhere,
    known_in,
    log_level,
    of_logs,
    p_above,
    p_below,
    pairs_of,
)
from byzcode.studies.claim import COSTS, Equivalent, Falls, Grows, Law, Lower, Predicted, Tested
from byzcode.theory.constants import coded_variance

#: Levels may be 0, infinite or NaN, and their ratios may overflow; results are then infinite or NaN, without a warning.
_of_any_levels = np.errstate(divide="ignore", invalid="ignore", over="ignore")


@_of_any_levels
def lower(claim: Lower, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Is the ratio of levels below ``factor``?

    A level that still falls bounds its plateau from above; a level that still rises bounds it from below. Such a seed
    counts only in the test for which the bound is on the safe side.
    """
    ratios = pairs_of(*(each[0].levels(claim.quantity, claim.at) for each in (runs, against)))
    limit = float(np.log(claim.factor))
    return Outcome(
        **effect_of(ratios),
        unit=f"ratio of {_name_of(claim)}",
        support=p_below(ratios.logs, ratios.at_most, limit, bounds=ratios.at_least),
        refute=p_above(ratios.logs, ratios.at_least, limit, bounds=ratios.at_most),
        neutral=claim.factor,
    )


@_of_any_levels
def equivalent(claim: Equivalent, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Is the ratio of levels between 1 / margin and margin?"""
    ratios = pairs_of(*(each[0].levels(claim.quantity, claim.at) for each in (runs, against)))
    return equality(ratios, claim.margin, f"ratio of {_name_of(claim)}")


@_of_any_levels
def falls(claim: Falls, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Does the level fall at every step? Supported if every step falls, refuted if any step rises."""
    levels = [run.levels(claim.quantity, claim.at) for run in runs]
    steps = [pairs_of(after, before) for before, after in itertools.pairwise(levels)]
    effect = effect_of(pairs_of(levels[-1], levels[0]))
    ratios = "steps: " + ", ".join(as_times(step.logs[known_in(step)]) for step in steps)
    return Outcome(
        **effect | {"note": "; ".join(filter(None, [ratios, effect["note"]]))},
        unit=f"ratio of {_name_of(claim)}, last over first",
        support=all_of(*(p_below(step.logs, step.at_most, bounds=step.at_least) for step in steps)),
        refute=any_of(*(p_above(step.logs, step.at_least, bounds=step.at_most) for step in steps)),
        neutral=1.0,
    )


@_of_any_levels
def grows(claim: Grows, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Does the advantage grow from the first value to the last? Tested by the slope of a least-squares line per seed.

    A level that still moves bounds the advantage at its place, and so the slope, on one side, as in :func:`lower`.
    A seed that diverged at a place with weight in the slope does not count.
    """
    first = [run.levels(claim.quantity, claim.at) for run in runs]
    second = [run.levels(claim.quantity, claim.at) for run in against]
    ratio = claim.advantage == "ratio"
    of = log_level if ratio else _level
    advantage = np.stack([of(b) - of(a) for a, b in zip(first, second, strict=True)], axis=1)
    where = np.asarray(claim.values, dtype=float)
    where = np.log(where) if claim.scale == "log" else where
    where = where * np.sign(where[-1] - where[0])  # so that it rises from the first to the last
    change = _slope(advantage, where) * np.ptp(where)
    known = np.isfinite(change)  # else the advantage is unknown at some place, such as the middle one
    places = [pairs_of(b, a, both_end=True) for a, b in zip(first, second, strict=True)]
    ends = [(place, up) for place, up in zip(places, where - where.mean(), strict=True) if not np.isclose(up, 0)]
    settled = known & everywhere(place.settled for place, _ in ends)
    at_least = known & everywhere(place.at_least if up > 0 else place.at_most for place, up in ends)
    at_most = known & everywhere(place.at_most if up > 0 else place.at_least for place, up in ends)
    support, refute = p_above(change, at_least, bounds=at_most), p_below(change, at_most, bounds=at_least)
    shown = [column[place.settled] for column, place in zip(advantage.T, places, strict=True)]
    if ratio:
        return of_logs(
            change[settled],
            unit="growth of the advantage as a ratio, first to last",
            support=support,
            refute=refute,
            neutral=1.0,
            note="advantage: " + ", ".join(map(as_times, shown)),
        )
    return Outcome(
        *interval(change[settled]),
        unit="growth of the advantage as a difference, first to last",
        support=support,
        refute=refute,
        pairs=int(settled.sum()),
        neutral=0.0,
        note="advantage: " + ", ".join(f"{each.mean():.2g}" if len(each) else NOWHERE for each in shown),
    )


@_of_any_levels
def law(claim: Law, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Is the squared level proportional to a factor of the theory? Tested by the exponent per seed.

    A seed has no exponent if it diverged, or is not at a plateau, at any of the places.
    """
    levels = [run.levels(claim.quantity, claim.at) for run in runs]
    factor = [_PREDICTED[claim.predicted](run, claim) for run in runs]
    known = everywhere(level.settled & ~level.diverged for level in levels)
    known &= everywhere(np.isfinite(each) for each in factor)
    exponent = _slope(np.stack([2 * log_level(level) for level in levels], axis=1), np.stack(factor, axis=1))
    known &= np.isfinite(exponent)  # infinite or NaN if the factor is the same at all places
    band = (1 - claim.margin, 1 + claim.margin)
    return Outcome(
        *interval(exponent[known]),
        unit="exponent",
        support=all_of(p_above(exponent, known, band[0]), p_below(exponent, known, band[1])),
        refute=any_of(p_below(exponent, known, band[0]), p_above(exponent, known, band[1])),
        pairs=int(known.sum()),
        band=band,
        note="" if known.any() else f"{NOWHERE} at all places, or the factor is the same at all of them",
    )


@_of_any_levels
def predicted(claim: Predicted, runs: Sequence[Run], against: Sequence[Run]) -> Outcome:
    """Is the squared distance of coded gradients, divided by its closed form, between 1 / margin and margin?

    The distance is the mean squared distance from the gradient, or from each other. The mean squared distance of two
    of H messages is 2 H / (H - 1) times their mean squared distance from their mean, and in expectation twice the
    variance.
    """
    run, unit = runs[0], "measured squared distance over the closed form"
    measured = _log_square(run, "honest_dispersion", claim)
    if claim.distance == "each_other":
        honest = run.spec.honest
        if honest == 1:
            nothing = np.zeros(len(measured), dtype=bool)
            none = Pairs(np.full(len(measured), np.nan), nothing, nothing, nothing, ~nothing, ~nothing)
            return equality(none, claim.margin, unit)._replace(note="one honest device: no two messages to compare")
        measured = measured + np.log(honest / (honest - 1))
    else:
        measured = np.logaddexp(measured, _log_square(run, "coding_bias", claim))
    logs = measured - _log_square(run, "heterogeneity", claim) - _closed_form(run, claim)
    known = np.isfinite(logs)
    return equality(Pairs(logs, known, known, known, ~known, ~known), claim.margin, unit)


#: The function of each kind of test.
TESTS: dict[str, Callable[[Any, Sequence[Run], Sequence[Run]], Outcome]] = {
    "lower": lower,
    "equivalent": equivalent,
    "falls": falls,
    "grows": grows,
    "law": law,
    "predicted": predicted,
}


def quantities_of(claim: Tested) -> set[str]:
    """The quantities that the test of a claim reads."""
    if isinstance(claim, Predicted):
        return {claim.quantity, "honest_dispersion", "coding_bias", "heterogeneity"}
    measured = {"heterogeneity": "heterogeneity", "dispersion": "honest_dispersion"}
    also = {measured[claim.predicted]} if isinstance(claim, Law) and claim.predicted in measured else set()
    return {claim.quantity, *also}


def _log_square(run: Run, quantity: str, claim: Any) -> Array:
    levels = run.levels(quantity, claim.at)
    logs: Array = np.where(levels.settled & ~levels.diverged, 2 * log_level(levels), np.nan)
    return logs


def _closed_form(run: Run, claim: Any) -> Array:
    with np.errstate(divide="ignore"):  # the variance is 0 if each device holds all subsets
        return np.full(len(run.spec.seeds), np.log(coded_variance(run.spec.subsets, run.spec.redundancy)))


#: Logarithms of the factors of a law, (R,); NaN for seeds that are not at a plateau.
_PREDICTED: dict[str, Callable[[Run, Law], Array]] = {
    "coded_variance": _closed_form,
    "heterogeneity": lambda run, claim: _log_square(run, "heterogeneity", claim),
    "dispersion": lambda run, claim: _log_square(run, "honest_dispersion", claim),
}


def _level(levels: Levels) -> Array:
    return levels.level


def _slope(values: Array, where: Array) -> Array:
    """The least-squares slope of each row of (R, n) over ``where``, (n,) or (R, n)."""
    away = where - where.mean(axis=-1, keepdims=True)
    slope: Array = (values * away).sum(axis=-1) / (away**2).sum(axis=-1)
    return slope


def _name_of(claim: Lower | Equivalent | Falls) -> str:
    names = {"excess_loss": "excess losses", "loss": "losses", "gradients_computed": "gradients per iteration"}
    part = {"plateau": " at the plateau", "end": " at the end", "start": " at the start"}
    cost = claim.quantity in COSTS
    return names.get(claim.quantity, claim.quantity.replace("_", " ")) + ("" if cost else part[claim.at])
