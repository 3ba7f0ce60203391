"""What the readings say together: how often each claim is supported, and which choices decide it.

A reading is a file of verdicts, one row a tested cell of a claim (:func:`read` says which columns). A claim is tested
in several cells (rules, attacks); its verdict in a reading is that of its worst cell: supported where all cells are,
refuted where one is, undecided otherwise. Shares and associations are over the random readings, which draw all choices
at once; a reading that was made at both sizes counts once, at the reduced one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from byzcode.errors import UserError, complain, one_of
from byzcode.multiverse.readings import Kind, Size
from byzcode.randomness import Stream
from byzcode.storage import checksums

#: From best to worst.
VERDICTS = ("supported", "undecided", "refuted")
KINDS: tuple[str, ...] = get_args(Kind)
#: The smaller one first.
SIZES: tuple[str, ...] = get_args(Size)

_ALLOWED = {"kind": KINDS, "size": SIZES, "verdict": VERDICTS}
_TEXT = ("reading", *_ALLOWED, "study", "claim", "cell", "mark", "test", "note")
_NUMBERS = ("effect", "low", "high", "pairs", "seeds")
_CHOICE = "choice:"
_CLAIM = ["study", "claim"]

#: Tables of the same margins that are drawn for a p-value, which is then at least 1e-4.
_RESAMPLES = 9999
#: Share of false discoveries among the choices that are said to decide a claim.
FALSE_DISCOVERIES = 0.05
#: When a tree splits, and how deep it is at most.
_SPLIT, _DEPTH = 0.05, 2


def read(paths: Sequence[Path], requests: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The tables of all readings as one, a file a reading, checked.

    Columns: reading, kind, size, a column ``choice:<name>`` for each choice, study, claim, cell, mark, test,
    effect, low, high, verdict, pairs, seeds, note. All are text but effect, low, high, pairs and seeds.
    ``requests``: by the names of the files, the hash of what each was to be made for.

    Raises UserError where a file is not such a table, or the files do not belong together: they differ in choices or
    cells, one reading is in two files, there is not one primary reading a size, or a reading of kind single does not
    differ from it in one choice.
    """
    if not paths:
        raise UserError("multiverse: no reading; expected a csv file for each")
    files: dict[str, Path] = {}
    tables: list[pd.DataFrame] = []
    for path in map(Path, paths):
        table = _one(path, (requests or {}).get(path.stem))
        reading = str(table["reading"].iloc[0])
        if reading in files:
            raise complain(path, "reading", reading, f"is also in {files[reading]}; one file a reading")
        if tables and choice_columns(table) != choice_columns(tables[0]):
            odd = sorted(set(choice_columns(table)) ^ set(choice_columns(tables[0])))
            raise complain(path, "columns", odd, f"the same choices, in the same order, as in {paths[0]}")
        files[reading] = path
        tables.append(table)
    together = pd.concat(tables, ignore_index=True)
    _check_readings(together, files)
    return together


def choice_columns(table: pd.DataFrame) -> list[str]:
    """The columns that hold choices."""
    return [column for column in table.columns if column.startswith(_CHOICE)]


def choice_name(column: str) -> str:
    """The choice of a column."""
    return column.removeprefix(_CHOICE)


def alternatives(table: pd.DataFrame) -> dict[str, list[str]]:
    """For each choice, the values that some reading takes: the primary's, then numbers ascending, then names."""
    primary = table[table["kind"] == "primary"].iloc[0]
    return {
        choice_name(column): sorted(set(table[column]), key=partial(_order, first=str(primary[column])))
        for column in choice_columns(table)
    }


def claims(table: pd.DataFrame) -> pd.DataFrame:
    """One row a claim (column ``cell`` is empty) and one a cell of it.

    ``supported``, ``undecided``, ``refuted``: shares of the random readings, with 95 % intervals after Wilson
    (``_low``, ``_high``). ``cells_supported``: mean share of the claim's cells that are supported. ``primary``: the
    verdict under the primary reading. ``singles``: readings that differ from it in one choice; ``changed``: how many
    of them change the verdict; ``changed_by``: which, and to what.
    """
    table = each_once(table)
    primary = table[table["kind"] == "primary"].iloc[0]
    rows = []
    for (study, claim), about in table.groupby(_CLAIM, sort=False):
        whole = _whole(about)
        cells = about["verdict"].eq("supported")[about["kind"] == "random"]
        for cell, verdicts in [("", whole), *about.groupby("cell", sort=False)]:
            here = about[about["cell"] == cell] if cell else about
            random, single = (verdicts[verdicts["kind"] == kind] for kind in ("random", "single"))
            stands = verdicts.loc[verdicts["kind"] == "primary", "verdict"].iloc[0]
            changed = [row for _, row in single.iterrows() if row["verdict"] != stands]
            rows.append(
                {
                    "study": study,
                    "claim": claim,
                    "cell": cell,
                    "mark": _joined(here["mark"]),
                    "cells": here["cell"].nunique(),
                    "readings": len(random),
                    **_shares(random["verdict"]),
                    "cells_supported": (random["verdict"].eq("supported") if cell else cells).mean(),
                    "primary": stands,
                    "singles": len(single),
                    "changed": len(changed),
                    "changed_by": "; ".join(
                        f"{_difference(row, primary)} ({row['verdict']})"
                        for row in sorted(changed, key=partial(_nearness, primary=primary))
                    ),
                }
            )
    return pd.DataFrame(rows)


def choices(table: pd.DataFrame) -> pd.DataFrame:
    """How much each choice decides each claim over the random readings; one row a claim, choice and value of it.

    ``v``: Cramer's V between the choice and the verdict, 0 to 1, corrected for its bias (Bergsma 2013); it sees what a
    choice does on its own, averaged over all others. ``p``: its permutation p-value; ``q``: that, adjusted over the
    whole table after Benjamini and Hochberg; ``decides``: whether q is at most 0.05. A verdict that never varies is
    decided by nothing: v, p and q are then empty. ``rank``: of the choice, by ``mean_v``, its mean v over all claims
    (empty counts as 0). ``value``, ``readings``: an alternative and how many random readings take it; ``supported``,
    ``undecided``, ``refuted``: shares of these. Values are in the order of :func:`alternatives`.
    """
    values = alternatives(table)
    table = each_once(table)
    tests, levels = [], []
    for (study, claim), about in table[table["kind"] == "random"].groupby(_CLAIM, sort=False):
        whole = _whole(about)
        for choice, named in values.items():
            place, taken = {"study": study, "claim": claim, "choice": choice}, whole[_CHOICE + choice]
            v, p = _association(taken, whole["verdict"], f"multiverse/{study}/{claim}/{choice}")
            tests.append({**place, "v": v, "p": p})
            for value in named:
                here = whole.loc[taken == value, "verdict"]
                shares = {verdict: here.eq(verdict).mean() for verdict in VERDICTS}
                levels.append({**place, "value": value, "readings": len(here), **shares})
    columns = [*_CLAIM, "choice", "rank", "mean_v", "v", "p", "q", "decides", "value", "readings", *VERDICTS]
    if not tests:
        return pd.DataFrame(columns=columns)
    tested = pd.DataFrame(tests)
    some = tested["p"].notna()
    tested.loc[some, "q"] = stats.false_discovery_control(tested.loc[some, "p"]) if some.any() else np.nan
    tested["decides"] = tested["q"] <= FALSE_DISCOVERIES
    tested["mean_v"] = tested["v"].fillna(0.0).groupby(tested["choice"]).transform("mean")
    means = tested.drop_duplicates("choice").set_index("choice")["mean_v"]
    tested["rank"] = tested["choice"].map(means.rank(ascending=False, method="first").astype(int))
    return tested.merge(pd.DataFrame(levels), on=[*_CLAIM, "choice"])[columns]


def tree(table: pd.DataFrame) -> pd.DataFrame:
    """For each claim a tree of choices over the random readings; one row a leaf, so one for a claim that none decides.

    ``where``: the choices that lead to the leaf; ``readings``: how many random readings are there; ``supported``,
    ``undecided``, ``refuted``: shares of these. Unlike :func:`choices` this sees what a choice does given another.
    A node is split by the choice of largest V among those with p at most 0.05 over the number of choices, at most two
    deep (after CHAID: Kass 1980, with permutation p-values and without merging values).
    """
    values = alternatives(table)
    table = each_once(table)
    rows = [
        {"study": study, "claim": claim, **leaf}
        for (study, claim), about in table[table["kind"] == "random"].groupby(_CLAIM, sort=False)
        for leaf in _leaves(_whole(about), values, f"multiverse/{study}/{claim}", ())
    ]
    return pd.DataFrame(rows, columns=[*_CLAIM, "where", "readings", *VERDICTS])


def sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Verdicts at reduced against full size, over the cells of readings made at both; a row a claim, the first for all.

    ``same``; ``swapped``: supported at one, refuted at the other; ``only_reduced``, ``only_full``: decided at that
    size, undecided at the other. They add up to ``pairs``.
    """
    key = ["kind", *choice_columns(table), *_CLAIM, "cell"]
    # Two random readings may have drawn the same choices; they have the same verdicts, too.
    reduced, full = (table[table["size"] == size].drop_duplicates(key)[[*key, "verdict"]] for size in SIZES)
    both = reduced.merge(full, on=key, suffixes=("_reduced", "_full"))
    open_reduced, open_full = both["verdict_reduced"] == "undecided", both["verdict_full"] == "undecided"
    same = both["verdict_reduced"] == both["verdict_full"]
    counted = both[_CLAIM].assign(
        pairs=1,
        same=same,
        swapped=~same & ~open_reduced & ~open_full,
        only_reduced=~open_reduced & open_full,
        only_full=open_reduced & ~open_full,
    )
    each = counted.groupby(_CLAIM, sort=False).sum().reset_index()
    total = pd.DataFrame([{"study": "all", "claim": "all", **each.drop(columns=_CLAIM).sum()}])
    return pd.concat([total, each], ignore_index=True) if len(each) else total


def stated(table: pd.DataFrame) -> pd.DataFrame:
    """One row a reading: how many cells of claims marked stated are supported, undecided and refuted under it.

    The first rows are the readings under which most stated claims hold; among equals, fewest refuted. ``rank`` counts
    from 1, equals share it. ``differs``: in which choices the reading differs from the primary one.
    """
    table = each_once(table)
    primary = table[table["kind"] == "primary"].iloc[0]
    rows = [
        {
            "reading": reading,
            "kind": about["kind"].iloc[0],
            "size": about["size"].iloc[0],
            **{verdict: int((about["verdict"] == verdict)[about["mark"] == "stated"].sum()) for verdict in VERDICTS},
            "differs": _difference(about.iloc[0], primary),
        }
        for reading, about in table.groupby("reading", sort=False)
    ]
    counted = pd.DataFrame(rows).sort_values(["supported", "refuted"], ascending=[False, True], kind="stable")
    keys = list(zip(-counted["supported"], counted["refuted"], strict=True))
    counted.insert(1, "rank", [keys.index(key) + 1 for key in keys])
    return counted.reset_index(drop=True)


def _one(path: Path, request: str | None) -> pd.DataFrame:
    """The table of one reading. Raises UserError."""
    content = checksums.checked(path, "reading", request)
    try:
        # All as text: "-2", "none" and "NA" are names of alternatives.
        table = pd.read_csv(content, dtype=str, keep_default_na=False, index_col=False)
    except ValueError as error:  # among them pandas' own, and letters that are not UTF-8
        raise UserError(f"{path}: is not a table of a reading: {str(error).splitlines()[0]}") from None
    for column in (*_TEXT, *_NUMBERS):
        if column not in table:
            raise complain(path, "columns", list(table.columns), f"{column!r} is missing")
    if not choice_columns(table) or table.empty:
        raise UserError(f"{path}: has no {'row' if table.empty else f'column {_CHOICE}<name>'}; expected a reading")
    for column, allowed in _ALLOWED.items():
        for value in table[column]:
            if value not in allowed:
                raise complain(path, column, value, one_of(allowed, value))
    for column in ("reading", "kind", "size", *choice_columns(table)):
        if table[column].nunique() > 1 or table[column].iloc[0] == "":
            raise complain(path, column, sorted(set(table[column])), "one value in all rows; one file a reading")
    for column in _NUMBERS:
        values = pd.to_numeric(table[column], errors="coerce")
        for value in table.loc[values.isna(), column]:
            if value.lower() not in ("", "nan"):
                raise complain(path, column, value, "a number")
        table[column] = values
    if table["cell"].duplicated().any():
        raise complain(path, "cell", table.loc[table["cell"].duplicated(), "cell"].iloc[0], "each cell once")
    return table


def _check_readings(table: pd.DataFrame, files: dict[str, Path]) -> None:
    """Raise UserError where the readings do not belong together."""
    heads = table.drop_duplicates("reading")
    primaries = heads[heads["kind"] == "primary"]
    if primaries.empty:
        raise complain("multiverse", "kind", sorted(set(heads["kind"])), "one reading of kind primary")
    for _, reading in primaries[primaries["size"].duplicated()].iterrows():
        raise complain(files[reading["reading"]], "kind", "primary", f"one primary reading of size {reading['size']}")
    primary = primaries.iloc[0]
    columns = choice_columns(table)
    for _, reading in heads.iterrows():
        differing = [choice_name(column) for column in columns if reading[column] != primary[column]]
        expected = {"primary": 0, "single": 1}.get(reading["kind"], len(differing))
        if len(differing) != expected:
            path, kind = files[reading["reading"]], reading["kind"]
            raise complain(path, "choices unlike the primary's", differing, f"{expected} where kind is {kind}")
    cells = table.groupby("reading", sort=False)["cell"].agg(set)
    for name, found in cells.items():
        if odd := sorted(found ^ cells[primary["reading"]]):
            allowed = f"the same cells as in {files[primary['reading']]}"
            raise complain(files[str(name)], "cell", odd[0], allowed)


def each_once(table: pd.DataFrame) -> pd.DataFrame:
    """The table without the full size of readings that were made at the reduced one, too."""
    size = table["size"].map(SIZES.index)
    # Kind is in it: the primary's choices, too, can be drawn at random.
    same = table.groupby(["kind", *choice_columns(table)], sort=False).ngroup()
    return table[size == size.groupby(same).transform("min")]


def _whole(about: pd.DataFrame) -> pd.DataFrame:
    """Of the rows of one claim, one a reading: its choices, and the verdict of the worst cell."""
    worst = about["verdict"].map(VERDICTS.index).groupby(about["reading"]).max()
    heads = about.drop_duplicates("reading")
    return heads.assign(verdict=heads["reading"].map(worst).map(dict(enumerate(VERDICTS))))


def _shares(verdicts: pd.Series[Any]) -> dict[str, float]:
    """Share and Wilson's 95 % interval of each verdict; NaN where there is none."""
    shares: dict[str, float] = {}
    for verdict in VERDICTS:
        found, total = int(verdicts.eq(verdict).sum()), len(verdicts)
        low, high = stats.binomtest(found, total).proportion_ci(0.95, "wilson") if total else (np.nan, np.nan)
        shares |= {verdict: found / total if total else np.nan, f"{verdict}_low": low, f"{verdict}_high": high}
    return shares


def _association(choice: pd.Series[Any], verdict: pd.Series[Any], purpose: str) -> tuple[float, float]:
    """Cramer's V, corrected for bias, and its permutation p-value; NaN where either never varies.

    Source: Bergsma, A bias-correction for Cramer's V and Tschuprow's T (2013). Choice and verdict that are independent
    have mean 0 before the cut at 0. The p-value is that of chi squared over tables of the same margins: counts are too
    small for its law.
    """
    counts: NDArray[np.int64] = stats.contingency.crosstab(choice, verdict).count
    if min(counts.shape) < 2:
        return np.nan, np.nan
    method = stats.MonteCarloMethod(n_resamples=_RESAMPLES, rng=Stream(0, purpose).at(0))
    result = stats.chi2_contingency(counts, correction=False, method=method)
    degrees, size = np.array(counts.shape) - 1, counts.sum()
    squared = max(0.0, result.statistic / size - degrees.prod() / (size - 1))
    least = float((degrees - degrees**2 / (size - 1)).min())
    # Of hardly more readings than values nothing is left after the correction.
    return float(min(1.0, np.sqrt(squared / least))) if least > 0 else 0.0, float(result.pvalue)


def _leaves(
    whole: pd.DataFrame, values: dict[str, list[str]], purpose: str, path: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The leaves of the tree below a node, which holds the readings in ``whole``."""
    verdict = whole["verdict"]
    strength = {}
    if len(path) < _DEPTH:
        for choice in values:
            v, p = _association(whole[_CHOICE + choice], verdict, "/".join([purpose, *path, choice]))
            if p <= _SPLIT / len(values):
                strength[choice] = v
    if not strength:
        shares = {name: verdict.eq(name).mean() for name in VERDICTS}
        return [{"where": ", ".join(path), "readings": len(whole), **shares}]
    choice = max(strength, key=lambda one: strength[one])
    parts = [(value, whole[whole[_CHOICE + choice] == value]) for value in values[choice]]
    return [
        leaf
        for value, part in parts
        if len(part)
        for leaf in _leaves(part, values, purpose, (*path, f"{choice} = {value}"))
    ]


def _difference(reading: pd.Series[Any], primary: pd.Series[Any]) -> str:
    """In words, the choices of a reading that are not the primary's."""
    return ", ".join(
        f"{choice_name(str(column))} = {reading[column]}"
        for column in reading.index
        if str(column).startswith(_CHOICE) and reading[column] != primary[column]
    )


def _nearness(reading: pd.Series[Any], primary: pd.Series[Any]) -> list[tuple[bool, float, str]]:
    """Sorts readings by the first choice in which they differ from the primary, then by its value."""
    columns = [column for column in primary.index if str(column).startswith(_CHOICE)]
    orders = [_order(reading[column], str(primary[column])) for column in columns]
    return [(not differs, number, value) for differs, number, value in orders]


def _order(value: str, first: str) -> tuple[bool, float, str]:
    """The value ``first`` first, then numbers ascending, then names."""
    try:
        number = float(value)
    except ValueError:
        number = np.inf
    return value != first, number, value


def _joined(words: pd.Series[Any]) -> str:
    """The distinct words, in order of appearance."""
    return "; ".join(dict.fromkeys(words))
