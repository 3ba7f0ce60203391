"""How often each claim is supported, how verdicts depend on the size, and under which readings most claims hold.

Shares are over the random readings, which draw all choices at once. A reading made at both sizes counts once, at the
reduced size.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from byzcode.multiverse.stored import (
    CHOICE,
    CLAIM,
    SIZES,
    VERDICTS,
    choice_columns,
    choice_name,
    each_once,
    order,
    worst_cells,
)


def claims(table: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on claims: one row per claim (column ``cell`` is empty) and one per cell of it.

    ``supported``, ``undecided``, ``refuted``: shares of the random readings, with Wilson's 95 % intervals (``_low``,
    ``_high``). ``cells_supported``: the mean share of the claim's cells that are supported. ``primary``: the verdict
    under the primary reading. ``singles``: the number of readings that differ from it in one choice; ``changed``: how
    many of them change the verdict; ``changed_by``: these choices, each with the new verdict.
    """
    table = each_once(table)
    primary = table[table["kind"] == "primary"].iloc[0]
    rows = []
    for (study, claim), about in table.groupby(CLAIM, sort=False):
        by_reading = worst_cells(about)
        cells = about["verdict"].eq("supported")[about["kind"] == "random"]
        for cell, verdicts in [("", by_reading), *about.groupby("cell", sort=False)]:
            tested = about[about["cell"] == cell] if cell else about
            random, single = (verdicts[verdicts["kind"] == kind] for kind in ("random", "single"))
            verdict = verdicts.loc[verdicts["kind"] == "primary", "verdict"].iloc[0]
            changed = [row for _, row in single.iterrows() if row["verdict"] != verdict]
            rows.append(
                {
                    "study": study,
                    "claim": claim,
                    "cell": cell,
                    "mark": _joined(tested["mark"]),
                    "cells": tested["cell"].nunique(),
                    "readings": len(random),
                    **_shares(random["verdict"]),
                    "cells_supported": (random["verdict"].eq("supported") if cell else cells).mean(),
                    "primary": verdict,
                    "singles": len(single),
                    "changed": len(changed),
                    "changed_by": "; ".join(
                        f"{_difference(row, primary)} ({row['verdict']})"
                        for row in sorted(changed, key=partial(_nearness, primary=primary))
                    ),
                }
            )
    return pd.DataFrame(rows)


def sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Compare verdicts at reduced and at full size, over the cells of readings made at both sizes.

    The first row is for all claims together; then there is one per claim. ``same``: the number of cells with the same
    verdict; ``swapped``: supported at one size and refuted at the other; ``only_reduced``, ``only_full``: decided at
    that size and undecided at the other. They add up to ``pairs``.
    """
    key = ["kind", *choice_columns(table), *CLAIM, "cell"]
    # Two random readings may have drawn the same choices; then they also have the same verdicts.
    reduced, full = (table[table["size"] == size].drop_duplicates(key)[[*key, "verdict"]] for size in SIZES)
    both = reduced.merge(full, on=key, suffixes=("_reduced", "_full"))
    open_reduced, open_full = both["verdict_reduced"] == "undecided", both["verdict_full"] == "undecided"
    same = both["verdict_reduced"] == both["verdict_full"]
    counted = both[CLAIM].assign(
        pairs=1,
        same=same,
        swapped=~same & ~open_reduced & ~open_full,
        only_reduced=~open_reduced & open_full,
        only_full=open_reduced & ~open_full,
    )
    each = counted.groupby(CLAIM, sort=False).sum().reset_index()
    total = pd.DataFrame([{"study": "all", "claim": "all", **each.drop(columns=CLAIM).sum()}])
    return pd.concat([total, each], ignore_index=True) if len(each) else total


def stated(table: pd.DataFrame) -> pd.DataFrame:
    """One row per reading: the numbers of cells of claims marked stated that it supports, leaves undecided and refutes.

    The rows are sorted by the number of supported cells (most first), then of refuted cells (fewest first). ``rank``
    counts from 1, and ties share a rank. ``differs``: the choices in which the reading differs from the primary.
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


def _shares(verdicts: pd.Series[Any]) -> dict[str, float]:
    """The share of each verdict with Wilson's 95 % interval; NaN if there are no verdicts."""
    shares: dict[str, float] = {}
    for verdict in VERDICTS:
        count, total = int(verdicts.eq(verdict).sum()), len(verdicts)
        low, high = stats.binomtest(count, total).proportion_ci(0.95, "wilson") if total else (np.nan, np.nan)
        shares |= {verdict: count / total if total else np.nan, f"{verdict}_low": low, f"{verdict}_high": high}
    return shares


def _difference(reading: pd.Series[Any], primary: pd.Series[Any]) -> str:
    """The choices in which a reading differs from the primary, as text."""
    return ", ".join(
        f"{choice_name(str(column))} = {reading[column]}"
        for column in reading.index
        if str(column).startswith(CHOICE) and reading[column] != primary[column]
    )


def _nearness(reading: pd.Series[Any], primary: pd.Series[Any]) -> list[tuple[bool, float, str]]:
    """A key that sorts readings by the first choice in which they differ from the primary, then by its value."""
    columns = [column for column in primary.index if str(column).startswith(CHOICE)]
    orders = [order(reading[column], str(primary[column])) for column in columns]
    return [(not differs, number, value) for differs, number, value in orders]


def _joined(words: pd.Series[Any]) -> str:
    """The distinct words, in order of appearance."""
    return "; ".join(dict.fromkeys(words))
