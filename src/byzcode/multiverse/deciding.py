"""Which choices decide a claim, over the random readings: each choice alone, and each given another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from byzcode.multiverse.stored import CHOICE, CLAIM, VERDICTS, alternatives, each_once, worst_cells
from byzcode.randomness import Stream

#: The number of random tables with the same margins for a p-value, which is therefore at least 1e-4.
_RESAMPLES = 9999
#: The false discovery rate among the choices that are reported to decide a claim.
FALSE_DISCOVERIES = 0.05
#: The p-value (before division by the number of choices) at which a tree splits, and its largest depth.
_SPLIT, _DEPTH = 0.05, 2


def choices(table: pd.DataFrame) -> pd.DataFrame:
    """How much each choice decides each claim over the random readings: one row per claim, choice and value of it.

    ``v``: Cramer's V between the choice and the verdict, 0 to 1, corrected for its bias (Bergsma 2013); it measures the
    effect of a choice alone, averaged over all others. ``p``: its permutation p-value. ``q``: the p-value adjusted over
    the whole table by the method of Benjamini and Hochberg. ``decides``: whether q is at most 0.05. If the verdict
    never varies, no choice decides it, and v, p and q are empty. ``rank``: the rank of the choice by ``mean_v``, its
    mean v over all claims (empty counts as 0). ``value``, ``readings``: an alternative, and the number of random
    readings that take it; ``supported``, ``undecided``, ``refuted``: the shares of these readings. Values have the
    order of :func:`alternatives`.
    """
    values = alternatives(table)
    table = each_once(table)
    tests, levels = [], []
    for (study, claim), about in table[table["kind"] == "random"].groupby(CLAIM, sort=False):
        by_reading = worst_cells(about)
        for choice, named in values.items():
            place, taken = {"study": study, "claim": claim, "choice": choice}, by_reading[CHOICE + choice]
            v, p = _association(taken, by_reading["verdict"], f"multiverse/{study}/{claim}/{choice}")
            tests.append({**place, "v": v, "p": p})
            for value in named:
                verdicts = by_reading.loc[taken == value, "verdict"]
                shares = {verdict: verdicts.eq(verdict).mean() for verdict in VERDICTS}
                levels.append({**place, "value": value, "readings": len(verdicts), **shares})
    columns = [*CLAIM, "choice", "rank", "mean_v", "v", "p", "q", "decides", "value", "readings", *VERDICTS]
    if not tests:
        return pd.DataFrame(columns=columns)
    tested = pd.DataFrame(tests)
    some = tested["p"].notna()
    tested.loc[some, "q"] = stats.false_discovery_control(tested.loc[some, "p"]) if some.any() else np.nan
    tested["decides"] = tested["q"] <= FALSE_DISCOVERIES
    tested["mean_v"] = tested["v"].fillna(0.0).groupby(tested["choice"]).transform("mean")
    means = tested.drop_duplicates("choice").set_index("choice")["mean_v"]
    tested["rank"] = tested["choice"].map(means.rank(ascending=False, method="first").astype(int))
    return tested.merge(pd.DataFrame(levels), on=[*CLAIM, "choice"])[columns]


def tree(table: pd.DataFrame) -> pd.DataFrame:
    """A tree of choices for each claim over the random readings: one row per leaf, a single row if no choice decides.

    ``where``: the choices that lead to the leaf; ``readings``: the number of random readings in it; ``supported``,
    ``undecided``, ``refuted``: the shares of these readings. Unlike :func:`choices`, a tree shows the effect of one
    choice given another. Each node splits by the choice with the largest V among those with p at most 0.05 divided by
    the number of choices, to a depth of two (like CHAID, Kass 1980, but with permutation p-values and without merging
    values).
    """
    values = alternatives(table)
    table = each_once(table)
    rows = [
        {"study": study, "claim": claim, **leaf}
        for (study, claim), about in table[table["kind"] == "random"].groupby(CLAIM, sort=False)
        for leaf in _leaves(worst_cells(about), values, f"multiverse/{study}/{claim}", ())
    ]
    return pd.DataFrame(rows, columns=[*CLAIM, "where", "readings", *VERDICTS])


def _association(choice: pd.Series[Any], verdict: pd.Series[Any], purpose: str) -> tuple[float, float]:
    """Cramer's V, corrected for bias, and its permutation p-value; both NaN if choice or verdict never varies.

    Source: Bergsma, A bias-correction for Cramer's V and Tschuprow's T (2013). For independent choice and verdict the
    corrected square has mean 0 before it is cut at 0. The p-value compares chi squared with that of random tables with
    the same margins, because the counts are too small for the chi-squared distribution.
    """
    counts: NDArray[np.int64] = stats.contingency.crosstab(choice, verdict).count
    if min(counts.shape) < 2:
        return np.nan, np.nan
    method = stats.MonteCarloMethod(n_resamples=_RESAMPLES, rng=Stream(0, purpose).at(0))
    result = stats.chi2_contingency(counts, correction=False, method=method)
    degrees, size = np.array(counts.shape) - 1, counts.sum()
    squared = max(0.0, result.statistic / size - degrees.prod() / (size - 1))
    least = float((degrees - degrees**2 / (size - 1)).min())
    # With hardly more readings than values, the correction leaves no association.
    return float(min(1.0, np.sqrt(squared / least))) if least > 0 else 0.0, float(result.pvalue)


def _leaves(
    by_reading: pd.DataFrame, values: dict[str, list[str]], purpose: str, path: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The leaves of the tree below a node that contains the readings in ``by_reading``."""
    verdict = by_reading["verdict"]
    strength = {}
    if len(path) < _DEPTH:
        for choice in values:
            v, p = _association(by_reading[CHOICE + choice], verdict, "/".join([purpose, *path, choice]))
            if p <= _SPLIT / len(values):
                strength[choice] = v
    if not strength:
        shares = {name: verdict.eq(name).mean() for name in VERDICTS}
        return [{"where": ", ".join(path), "readings": len(by_reading), **shares}]
    choice = max(strength, key=lambda name: strength[name])
    parts = [(value, by_reading[by_reading[CHOICE + choice] == value]) for value in values[choice]]
    return [
        leaf
        for value, part in parts
        if len(part)
        for leaf in _leaves(part, values, purpose, (*path, f"{choice} = {value}"))
    ]
