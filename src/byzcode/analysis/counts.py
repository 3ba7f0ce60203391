"""Verdicts counted by the kind of claim, because a claim that is true by construction is no evidence."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from byzcode.analysis.marks import VERDICTS
from byzcode.studies.claim import Kind

#: The kinds of claims, in the order in which they are counted.
KINDS: tuple[str, ...] = get_args(Kind)

#: The columns of the counts: the verdicts, the claims that cannot be tested, and how many of all are marked.
COLUMNS = (*VERDICTS, "untested", "fragile", "warned")


def counts(cells: pd.DataFrame) -> pd.DataFrame:
    """How many tests of a scorecard have each verdict: one row per kind and mark, indexed by both.

    Also how many cannot be tested, how many verdicts are fragile, and of how many tests a passed control warns.
    Empirical claims come first; kinds and marks without tests are left out.
    """
    untested = (cells["test"] == "open").rename("untested")
    verdicts = {verdict: (cells["verdict"] == verdict) & ~untested for verdict in VERDICTS}
    marked = {"fragile": (cells["fragile"] != "") & ~untested, "warned": cells["warning"] != ""}
    table = pd.DataFrame({**verdicts, "untested": untested, **marked}).astype(int)
    table = table.groupby([cells["kind"], cells["mark"]], sort=False).sum()
    order = sorted(table.index, key=lambda each: (KINDS.index(each[0]), each[1] != "stated", each[1]))
    return table.loc[order, list(COLUMNS)]


def by_kind(cells: pd.DataFrame) -> pd.DataFrame:
    """The counts with one row per kind, over all marks."""
    return counts(cells).groupby(level="kind", sort=False).sum()


def lines(cells: pd.DataFrame) -> list[str]:
    """The counts in words, one line per kind, empirical claims first."""
    return [f"{kind}: {_words(row)}" for kind, row in by_kind(cells).iterrows()]


def _words(row: pd.Series[int]) -> str:
    known = [f"{row[name]} {name}" for name in (*VERDICTS, "untested") if row[name]]
    marked = [f"{row[name]} {name}" for name in ("fragile", "warned") if row[name]]
    return ", ".join(known) + (f" ({', '.join(marked)})" if marked else "")
