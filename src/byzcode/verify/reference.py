"""How far tables of results are from those that a reference keeps.

What may differ is rounding, as of another processor or another order of sums. By how much was measured: 144 of the 340
runs of the studies were trained with 1e-15 of itself added at random to every residual of every iteration. Levels moved
by less than 1e-11 of themselves, rates by 1e-8, but for what is rounding itself (squares below 1e-20, norms below
1e-12); those of chaotic runs (see CHAOTIC) by up to 0.48, and the steps to a plateau by one recorded iteration. Effects
moved by up to 0.003 of themselves, their intervals by 0.016; no p and no verdict did. For the multiverse this was not
measured: what is allowed there is that one verdict in 50 is another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from byzcode.errors import UserError


class Quantity(NamedTuple):
    """What columns hold, and by how much it may differ: ``absolute`` plus ``relative`` times the larger of both."""

    name: str
    columns: str  # a pattern of their names
    relative: float = 0.0
    absolute: float = 0.0


class Table(NamedTuple):
    """Tables of one kind: where they lie, which columns name a row, what may differ by how much."""

    kind: str
    pattern: str
    keys: tuple[str, ...]
    quantities: tuple[Quantity, ...]
    chaotic: bool | None = None  # of the rows only those of chaotic runs, or of others


#: Of words, and of all that no other line names: not at all.
EXACT = Quantity("names, counts, verdicts", ".*")
#: How something is said, and by which versions it was made: not compared.
WORDS = re.compile(
    r"version_.*|study_title|place|says|source|statistic|confirms|refutes|compared|against|unit|unsettled|ended|note"
)

_SHARES = (
    Quantity("shares", "(supported|undecided|refuted|cells_supported|mean_v|v|p|q)(_low|_high)?", absolute=0.02),
)
_COUNTS = (Quantity("counts of verdicts", "same|swapped|only_.*|supported|undecided|refuted|rank", absolute=2),)

#: The coordinate median and Phocas jump from one honest message to another. With little redundancy these differ much,
#: and what rounding decides at one iteration is another path, of about the same statistics. Rules, and redundancy up to
#: which.
CHAOTIC, LITTLE = ("median", "phocas"), 30

_SPREAD = "_(median|q25|q75)"
_COST = f"(gradients_computed|bits_sent)_(to_plateau{_SPREAD}|per_iteration)"

TABLES = (
    Table(
        "summaries",
        "summaries/*.csv",
        ("run_id",),
        (
            Quantity("costs", _COST),
            Quantity("squares", f"(relative_)?excess_loss{_SPREAD}", 1e-6, 1e-20),
            Quantity("norms, rates", f".*{_SPREAD}", 1e-6, 1e-12),
        ),
        chaotic=False,
    ),
    Table(
        f"summaries: median and Phocas, r up to {LITTLE}",
        "summaries/*.csv",
        ("run_id",),
        (
            Quantity("costs", _COST, 0.3),
            Quantity("seeds at a plateau", "at_plateau", absolute=2),
            Quantity("squares, norms, rates", f".*{_SPREAD}", 0.6, 1e-12),
        ),
        chaotic=True,
    ),
    Table(
        "scorecard",
        "scorecard.csv",
        ("study", "claim", "cell"),
        (
            Quantity("effects, intervals", "effect|low|high|neutral|band_low|band_high", 0.05, 1e-9),
            Quantity("p", "p_support|p_refute", absolute=0.01),
        ),
    ),
    Table("multiverse", "multiverse/claims.csv", ("study", "claim", "cell"), _SHARES),
    Table("multiverse", "multiverse/choices.csv", ("study", "claim", "choice", "value"), _SHARES),
    Table("multiverse", "multiverse/tree.csv", ("study", "claim", "where"), _SHARES),
    Table("multiverse", "multiverse/sizes.csv", ("study", "claim"), _COUNTS),
    Table("multiverse", "multiverse/stated.csv", ("reading", "size"), _COUNTS),
)


@dataclass(frozen=True)
class Compared:
    """A quantity of a table beside the reference: its largest deviation, relative and above the absolute tolerance."""

    kind: str
    quantity: Quantity
    file: str
    rows: int
    largest: float
    faults: tuple[str, ...]


def compare(results: Path, reference: Path) -> tuple[list[Compared], list[Path]]:
    """All tables that the reference has too, each quantity of each; and what only the reference has.

    A table that is missing is no matter of the reference: a configuration says what is to be there. Raises UserError
    where the reference has none.
    """
    pairs = [
        (table, results / kept.relative_to(reference), kept)
        for table in TABLES
        for kept in sorted(reference.glob(table.pattern))
    ]
    if not pairs:
        raise UserError(f"{reference}: no reference: expected summaries/*.csv, scorecard.csv or multiverse/*.csv in it")
    found = [one for table, path, kept in pairs if path.is_file() for one in _compare(table, path, kept)]
    return found, list(dict.fromkeys(kept for _, path, kept in pairs if not path.is_file()))


def _compare(table: Table, path: Path, kept: Path) -> Iterator[Compared]:
    ours, theirs = (_rows(_read(one, table.keys), table.chaotic) for one in (path, kept))
    rows = ours.index.intersection(theirs.index)
    odd = [*ours.index.symmetric_difference(theirs.index), *ours.columns.symmetric_difference(theirs.columns)]
    names = [column for column in theirs.columns if column in ours and not WORDS.fullmatch(column)]
    unlike = (f"{path}: {len(odd)} rows or columns stand in one of it and {kept} only, as {odd[0]}",) if odd else ()
    for quantity in (*table.quantities, EXACT):
        columns = [name for name in names if _quantity_of(table, name) == quantity]
        here, there = ours.loc[rows, columns], theirs.loc[rows, columns]
        deviation = _deviation(here, there, quantity)
        largest = float(deviation.max(initial=0.0))
        faults: tuple[str, ...] = ()
        if quantity == EXACT and unlike:
            largest, faults = np.inf, unlike
        elif largest > quantity.relative:
            row, column = divmod(int(deviation.argmax()), len(columns))
            found, kept_as = here.iloc[row, column], there.iloc[row, column]
            faults = (f"{path}: {columns[column]} of {here.index[row]} is {found!s}; in the reference {kept_as!s}",)
        yield Compared(table.kind, quantity, str(path), len(rows), largest, faults)


def _rows(table: pd.DataFrame, chaotic: bool | None) -> pd.DataFrame:
    """The rows of chaotic runs, or the others, or all."""
    if chaotic is None or not {"aggregation", "redundancy"} <= set(table.columns):
        return table
    little = pd.to_numeric(table["redundancy"], errors="coerce") <= LITTLE
    rows: pd.DataFrame = table[(table["aggregation"].isin(CHAOTIC) & little) == chaotic]
    return rows


def _quantity_of(table: Table, column: str) -> Quantity:
    return next((one for one in table.quantities if re.fullmatch(one.columns, column)), EXACT)


def _deviation(ours: pd.DataFrame, theirs: pd.DataFrame, quantity: Quantity) -> NDArray[np.float64]:
    """By how much cells differ, relative to the larger of two; words that differ do so infinitely."""
    same = (ours == theirs).to_numpy()
    if quantity == EXACT:
        return np.where(same, 0.0, np.inf)
    a, b = (frame.apply(pd.to_numeric, errors="coerce").to_numpy(float) for frame in (ours, theirs))
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.maximum(np.abs(a - b) - quantity.absolute, 0) / np.maximum(np.abs(a), np.abs(b))
    unlike = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return np.asarray(unlike, dtype=np.float64)


def _read(path: Path, keys: tuple[str, ...]) -> pd.DataFrame:
    """A table of texts, by the words that name its rows."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        rows = pd.Index([" ".join(row) for row in table[list(keys)].itertuples(index=False)])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a table by {', '.join(keys)}: {str(error).splitlines()[0]}") from None
    if rows.has_duplicates:
        raise UserError(f"{path}: {', '.join(keys)} = {rows[rows.duplicated()][0]!r} stands twice")
    return table.set_axis(rows, axis=0)
