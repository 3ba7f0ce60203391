"""The table behind the page: one row per tested cell of a claim."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pandas as pd

from byzcode import __version__
from byzcode.analysis.marks import VERDICTS
from byzcode.errors import UserError, complain, one_of
from byzcode.storage import checksums
from byzcode.storage.layout import STAGES
from byzcode.studies.claim import Kind
from byzcode.studies.names import Mark

#: The kinds of claims in the order in which they are counted: empirical ones first.
KINDS: tuple[str, ...] = get_args(Kind)
#: The columns with verdicts under other conditions, and the names of these.
OTHER_VERDICTS = {"verdict_missing_against": "missing seeds against it", "verdict_heldout": "held-out seeds"}

TEXTS = (
    *("study", "study_title", "claim", "cell", "place", "says", "source", "mark", "test", "statistic"),
    *("confirms", "refutes", "compared", "against", "unit", "unsettled", "ended", "note", "figure", "runs"),
    *("kind", "controls", "tested"),
)
NUMBERS = (
    *("effect", "low", "high", "neutral", "band_low", "band_high", "p_support", "p_refute", "pairs", "seeds"),
    *("p_support_missing", "p_refute_missing", "seeds_support", "seeds_refute"),
)
#: The texts that a scorecard has beside those of the tables of claims; see :mod:`byzcode.analysis.marks`.
JUDGED = ("verdict", "verdict_missing_against", "verdict_heldout", "fragile", "warning")


def read(path: Path, request: str | None = None, stage: str = "claims") -> pd.DataFrame:
    """A table that a stage made: of the claims of one study, or the scorecard; if given, for the request of that hash.

    Raises UserError if the table is missing, damaged or was made for another request.
    """
    content = checksums.checked(path, stage, request)
    try:
        # Do not convert texts: a label may be "NA".
        words = dict.fromkeys(TEXTS, str)
        table = pd.read_csv(content, dtype=words, keep_default_na=False, na_values=_NO_NUMBER)
    except ValueError as error:  # includes pandas' errors for an empty or malformed file
        raise UserError(f"{path}: not a table of claims: {str(error).splitlines()[0]}") from None
    return _typed(table, path)


_ALLOWED = {
    "verdict": VERDICTS,
    "verdict_missing_against": VERDICTS,
    "verdict_heldout": (*VERDICTS, ""),
    "mark": get_args(Mark),
    "kind": KINDS,
}
_NO_NUMBER = {name: ["", "nan", "NaN"] for name in NUMBERS}


def checked(table: pd.DataFrame, where: object) -> pd.DataFrame:
    """The table with typed columns. Raises UserError if a column is missing or has values that are not allowed."""
    typed = _typed(table, where, *JUDGED)
    for column, allowed in _ALLOWED.items():
        if unknown := set(typed[column]) - set(allowed):
            raise complain(where, column, min(unknown), one_of(allowed, min(unknown)))
    return typed


def counts(cells: pd.DataFrame) -> dict[str, int]:
    """How many cells have each verdict."""
    return {verdict: int((cells["verdict"] == verdict).sum()) for verdict in VERDICTS}


def _typed(table: pd.DataFrame, where: object, *more: str) -> pd.DataFrame:
    texts = (*TEXTS, *more)
    if missing := [name for name in (*texts, *NUMBERS) if name not in table]:
        raise UserError(f"{where}: not a table of claims: column {missing[0]!r} is missing")
    try:
        numbers = {name: table[name].astype(float) for name in NUMBERS}
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: not a table of claims: {error}") from None
    return table.assign(**{name: table[name].fillna("").astype(str) for name in texts}, **numbers)


def with_versions(table: pd.DataFrame, versions: Mapping[str, str]) -> pd.DataFrame:
    """The table with a column for each version, the same in every row."""
    return table.assign(**{f"version_{name.replace(' ', '_')}": number for name, number in versions.items()})


def versions() -> dict[str, str]:
    """The versions that determine the numbers of a scorecard made by this installation."""
    libraries = {name: version(name) for name in ("torch", "numpy", "scipy")}
    own = {"python": platform.python_version(), "engine digest": STAGES["train"].digest()}
    return {"byzcode": __version__, **libraries, **own}
