"""Compare tables of results with those of a reference.

Only rounding may differ, for example with another processor or another order of sums. To measure its effect, 144 of the
340 runs of the studies were trained with random relative errors of 1e-15 in every residual of every iteration. The
relative changes were below 1e-11 for levels and 1e-8 for rates, except for values that are rounding errors themselves
(squares below 1e-20, norms below 1e-12). Levels of chaotic runs (see CHAOTIC) changed by up to 0.48, and the number of
steps to a plateau by one recorded iteration. Effects changed by up to 0.003, their intervals by up to 0.016; p-values
and verdicts did not change.

The tolerances are 1e-6 for levels and rates, and about three times the measured change for effects and intervals. A row
of a chaotic run may change more, but the median row only little, because nothing drives all rows in the same direction.
For the multiverse nothing was measured; its tolerance is one different verdict in 50.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from byzcode.aggregation import RULES
from byzcode.errors import UserError
from byzcode.storage.layout import STAGES
from byzcode.storage.seal import content_of


class Quantity(NamedTuple):
    """A quantity in some columns and its tolerance: ``absolute`` plus ``relative`` times the reference.

    ``typical`` bounds the median change of the rows of all tables, as the absolute log of a ratio. The change of a row
    is the median over its columns.
    """

    name: str
    columns: str  # a pattern for the names of the columns
    relative: float = 0.0
    absolute: float = 0.0
    typical: float = np.inf


class Table(NamedTuple):
    """Tables of one kind: their paths, the columns that identify a row, and the tolerances."""

    kind: str
    pattern: str
    keys: tuple[str, ...]
    quantities: tuple[Quantity, ...]
    chaotic: bool | None = None  # True: only rows of chaotic runs; False: only the others; None: all


#: Words and all columns that no other quantity covers must be equal.
EXACT = Quantity("names, counts, verdicts", ".*")
#: Columns of wordings and versions, which are not compared.
WORDS = re.compile(
    r"version_.*|study_title|place|says|source|statistic|confirms|refutes|compared|against|unit|unsettled|ended|note"
)

_SHARES = (
    Quantity("shares", "(supported|undecided|refuted|cells_supported|mean_v|v|p|q)(_low|_high)?", absolute=0.02),
)
_TESTS = (
    Quantity("effects", "effect|neutral|band_low|band_high", 0.01, 1e-9),
    Quantity("intervals", "low|high", 0.05, 1e-9),
    Quantity("p", "p_(support|refute)(_missing)?", absolute=0.001),
)
_COUNTS = (Quantity("counts of verdicts", "same|swapped|only_.*|supported|undecided|refuted|rank", absolute=2),)

#: With fewer chaotic rows than this, their median says little.
SEVERAL = 5

#: Rules and largest redundancy of chaotic runs. Such rules jump from one honest message to
#: another. With little redundancy these differ much, so a rounding error at one iteration leads to another path with
#: about the same statistics.
CHAOTIC, LITTLE = tuple(name for name, rule in RULES.items() if rule.jumps), 30


def _pattern(stage: str, name: str = "*") -> str:
    """A glob pattern for the tables of a stage, relative to the folder of results."""
    return STAGES[stage].table(Path(), name).as_posix()


_SPREAD = "_(median|q25|q75)"
_COST = f"(gradients_computed|bits_sent)_(to_plateau{_SPREAD}|per_iteration)"

TABLES = (
    Table(
        "summaries",
        _pattern("summarise"),
        ("run_id",),
        (
            Quantity("costs", _COST),
            Quantity("squares", f"(relative_)?excess_loss{_SPREAD}", 1e-6, 1e-20),
            Quantity("norms, rates", f".*{_SPREAD}", 1e-6, 1e-12),
        ),
        chaotic=False,
    ),
    Table(
        f"summaries: {' and '.join(RULES[name].words for name in CHAOTIC)}, r up to {LITTLE}",
        _pattern("summarise"),
        ("run_id",),
        (
            Quantity("costs", _COST, 0.3, typical=0.1),
            Quantity("seeds at a plateau", "at_plateau", absolute=2),
            Quantity("squares, norms, rates", f".*{_SPREAD}", 0.6, 1e-12, typical=0.1),
        ),
        chaotic=True,
    ),
    Table(
        "scorecard",
        _pattern("scorecard", "scorecard"),
        ("study", "claim", "cell"),
        _TESTS,
    ),
    Table("held-out verdicts", _pattern("heldout", "heldout"), ("study", "claim", "cell"), _TESTS),
    Table("multiverse", _pattern("multiverse", "claims"), ("study", "claim", "cell"), _SHARES),
    Table("multiverse", _pattern("multiverse", "choices"), ("study", "claim", "choice", "value"), _SHARES),
    Table("multiverse", _pattern("multiverse", "tree"), ("study", "claim", "where"), _SHARES),
    Table("multiverse", _pattern("multiverse", "sizes"), ("study", "claim"), _COUNTS),
    Table("multiverse", _pattern("multiverse", "stated"), ("reading", "size"), _COUNTS),
)


_TABLES = (_pattern("summarise"), _pattern("scorecard", "scorecard"), _pattern("heldout", "heldout"))
_EXPECTED = f"{', '.join(_TABLES)} or {_pattern('multiverse')}"


@dataclass(frozen=True)
class Compared:
    """A quantity of a table compared with the reference; ``largest`` is the relative deviation beyond ``absolute``."""

    kind: str
    quantity: Quantity
    file: str
    rows: int
    largest: float
    faults: tuple[str, ...]
    moves: tuple[float, ...] = ()  # the changes of the rows, if the quantity bounds their median


def compare(results: Path, reference: Path) -> tuple[list[Compared], list[Path]]:
    """Compare every quantity of all tables of the reference; also return the tables that only the reference has.

    A missing table is not a fault here, because the configuration decides which tables are expected. An unreadable
    table on either side is a fault. Raises UserError if the reference has no tables.
    """
    pairs = [
        (table, results / kept.relative_to(reference), kept)
        for table in TABLES
        for kept in sorted(reference.glob(table.pattern))
    ]
    if not pairs:
        raise UserError(f"{reference}: no reference: expected {_EXPECTED} in it")
    comparisons: list[Compared] = []
    for table, path, kept in pairs:
        if path.exists():
            try:
                comparisons += _compare(table, path, kept)
            except UserError as error:
                comparisons.append(Compared(table.kind, EXACT, str(path), 0, np.inf, (str(error),)))
    return [*comparisons, *_typical(comparisons, results)], list(
        dict.fromkeys(kept for _, path, kept in pairs if not path.exists())
    )


def _typical(comparisons: list[Compared], results: Path) -> Iterator[Compared]:
    """The change of the median row over all tables of a kind."""
    for kind, quantity in dict.fromkeys(
        (comparison.kind, comparison.quantity) for comparison in comparisons if comparison.moves
    ):
        moves = [
            move
            for comparison in comparisons
            if (comparison.kind, comparison.quantity) == (kind, quantity)
            for move in comparison.moves
        ]
        if len(moves) >= SEVERAL:
            median, allowed = float(np.median(moves)), quantity.typical
            fault = (
                f"{results}: {quantity.name} of the {kind} moved by {median:.2g} in the median row; allowed: {allowed}"
            )
            about = Quantity(f"{quantity.name}: median row", "", allowed)
            yield Compared(kind, about, str(results), len(moves), median, (fault,) if median > allowed else ())


def _compare(table: Table, path: Path, kept: Path) -> Iterator[Compared]:
    ours, theirs = (_rows(_read(file, table.keys), table.chaotic) for file in (path, kept))
    rows = ours.index.intersection(theirs.index)
    odd = [*ours.index.symmetric_difference(theirs.index), *ours.columns.symmetric_difference(theirs.columns)]
    names = [column for column in theirs.columns if column in ours and not WORDS.fullmatch(column)]
    unlike = (
        (f"{path}: {len(odd)} rows or columns occur only in it or only in {kept}, such as {odd[0]}",) if odd else ()
    )
    for quantity in (*table.quantities, EXACT):
        columns = [name for name in names if _quantity_of(table, name) == quantity]
        own, stored = ours.loc[rows, columns], theirs.loc[rows, columns]
        deviation = _deviation(own, stored, quantity)
        largest = float(deviation.max(initial=0.0))
        faults: tuple[str, ...] = ()
        if quantity == EXACT and unlike:
            largest, faults = np.inf, unlike
        elif largest > quantity.relative:
            row, column = divmod(int(deviation.argmax()), len(columns))
            value, expected = own.iloc[row, column], stored.iloc[row, column]
            faults = (f"{path}: {columns[column]} of {own.index[row]} is {value!s}; in the reference {expected!s}",)
        moves = _moves(own, stored, deviation) if np.isfinite(quantity.typical) else ()
        yield Compared(table.kind, quantity, str(path), len(rows), largest, faults, moves)


def _rows(table: pd.DataFrame, chaotic: bool | None) -> pd.DataFrame:
    """The rows of chaotic runs (True), of the others (False) or of all runs (None)."""
    if chaotic is None or not {"aggregation", "redundancy"} <= set(table.columns):
        return table
    little = pd.to_numeric(table["redundancy"], errors="coerce") <= LITTLE
    rows: pd.DataFrame = table[(table["aggregation"].isin(CHAOTIC) & little) == chaotic]
    return rows


def _quantity_of(table: Table, column: str) -> Quantity:
    return next((quantity for quantity in table.quantities if re.fullmatch(quantity.columns, column)), EXACT)


def _deviation(ours: pd.DataFrame, theirs: pd.DataFrame, quantity: Quantity) -> NDArray[np.float64]:
    """The deviation of each cell relative to the reference; infinite for words that differ."""
    same = (ours == theirs).to_numpy()
    if quantity == EXACT:
        return np.where(same, 0.0, np.inf)
    a, b = _numbers(ours), _numbers(theirs)
    with np.errstate(invalid="ignore", divide="ignore"):
        more = np.maximum(np.abs(a - b) - quantity.absolute, 0)
        apart = np.where(more == 0, 0.0, more / np.abs(b))
    unlike = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    return np.asarray(unlike, dtype=np.float64)


def _moves(ours: pd.DataFrame, theirs: pd.DataFrame, deviation: NDArray[np.float64]) -> tuple[float, ...]:
    """The change of each row: the median over its columns of the absolute log of the ratio."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(np.log(_numbers(ours) / _numbers(theirs)))
    moved = np.where(deviation == 0, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
    return tuple(np.median(moved, axis=1).tolist()) if moved.size else ()


def _numbers(table: pd.DataFrame) -> NDArray[np.float64]:
    return np.asarray(table.apply(pd.to_numeric, errors="coerce").to_numpy(float), dtype=np.float64)


def _read(path: Path, keys: tuple[str, ...]) -> pd.DataFrame:
    """A table of texts, indexed by the joined key columns. Raises UserError."""
    try:
        table = pd.read_csv(BytesIO(content_of(path)), dtype=str, keep_default_na=False)
        rows = pd.Index([" ".join(row) for row in table[list(keys)].itertuples(index=False)])
    except (ValueError, KeyError) as error:
        raise UserError(f"{path}: not a table by {', '.join(keys)}: {str(error).splitlines()[0]}") from None
    if rows.has_duplicates:
        raise UserError(f"{path}: {', '.join(keys)} = {rows[rows.duplicated()][0]!r} occurs twice")
    return table.set_axis(rows, axis=0)
