"""Read and check the tables of the readings, from which all other tables of the multiverse are computed.

A reading is a file of verdicts, one row per tested cell of a claim (:func:`read` lists the columns). A claim is tested
in several cells (rules, attacks). Its verdict in a reading is that of its worst cell: supported if all cells are
supported, refuted if any cell is refuted, undecided otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from byzcode.errors import UserError, complain, one_of
from byzcode.multiverse.readings import Kind, Size
from byzcode.storage import checksums

#: The verdicts, from best to worst.
VERDICTS = ("supported", "undecided", "refuted")
KINDS: tuple[str, ...] = get_args(Kind)
#: The sizes, the smaller first.
SIZES: tuple[str, ...] = get_args(Size)

#: The prefix of the name of a column that contains a choice.
CHOICE = "choice:"
#: The columns that identify a claim.
CLAIM = ["study", "claim"]

_ALLOWED = {"kind": KINDS, "size": SIZES, "verdict": VERDICTS}
_TEXT = ("reading", *_ALLOWED, "study", "claim", "cell", "mark", "test", "note")
_NUMBERS = ("effect", "low", "high", "pairs", "seeds")


def read(paths: Sequence[Path], requests: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read the tables of all readings, one file per reading, check them, and join them in one table.

    Columns: reading, kind, size, a column ``choice:<name>`` for each choice, study, claim, cell, mark, test,
    effect, low, high, verdict, pairs, seeds, note. Effect, low, high, pairs and seeds are numbers; the others are text.
    ``requests`` maps the stem of a file's name to the hash of the request that the file must have.

    Raises UserError if a file is not such a table, or if the files do not belong together: their choices or cells
    differ, a reading is in two files, there is no primary reading or there are two of one size, the primary readings
    have different choices, or a reading of kind single does not differ from the primary in exactly one choice.
    """
    if not paths:
        raise UserError("multiverse: no readings; expected one csv file per reading")
    files: dict[str, Path] = {}
    tables: list[pd.DataFrame] = []
    for path in map(Path, paths):
        table = _reading(path, (requests or {}).get(path.stem))
        reading = str(table["reading"].iloc[0])
        if reading in files:
            raise complain(path, "reading", reading, f"is also in {files[reading]}; one file per reading")
        if tables and choice_columns(table) != choice_columns(tables[0]):
            odd = sorted(set(choice_columns(table)) ^ set(choice_columns(tables[0])))
            raise complain(path, "columns", odd, f"the same choices, in the same order, as in {paths[0]}")
        files[reading] = path
        tables.append(table)
    joined = pd.concat(tables, ignore_index=True)
    _check_readings(joined, files)
    return joined


def choice_columns(table: pd.DataFrame) -> list[str]:
    """The columns that contain choices."""
    return [column for column in table.columns if column.startswith(CHOICE)]


def choice_name(column: str) -> str:
    """The name of the choice in a column."""
    return column.removeprefix(CHOICE)


def alternatives(table: pd.DataFrame) -> dict[str, list[str]]:
    """The values of each choice in the readings: first that of the primary, then numbers ascending, then names."""
    primary = table[table["kind"] == "primary"].iloc[0]
    return {
        choice_name(column): sorted(set(table[column]), key=partial(order, first=str(primary[column])))
        for column in choice_columns(table)
    }


def each_once(table: pd.DataFrame) -> pd.DataFrame:
    """The table without full-size readings whose choices also have a reading at reduced size."""
    size = table["size"].map(SIZES.index)
    # Group by kind, too: a random reading may have drawn the choices of the primary.
    same = table.groupby(["kind", *choice_columns(table)], sort=False).ngroup()
    return table[size == size.groupby(same).transform("min")]


def worst_cells(about: pd.DataFrame) -> pd.DataFrame:
    """Reduce the rows of one claim to one row per reading, with the verdict of its worst cell."""
    worst = about["verdict"].map(VERDICTS.index).groupby(about["reading"]).max()
    heads = about.drop_duplicates("reading")
    return heads.assign(verdict=heads["reading"].map(worst).map(dict(enumerate(VERDICTS))))


def order(value: str, first: str) -> tuple[bool, float, str]:
    """A sort key: the value ``first`` first, then numbers ascending, then names."""
    try:
        number = float(value)
    except ValueError:
        number = np.inf
    return value != first, number, value


def _reading(path: Path, request: str | None) -> pd.DataFrame:
    """Read the table of one reading. Raises UserError."""
    content = checksums.checked(path, "reading", request)
    try:
        # Read all columns as text: "-2", "none" and "NA" are names of alternatives.
        table = pd.read_csv(content, dtype=str, keep_default_na=False, index_col=False)
    except ValueError as error:  # also the parser errors of pandas, and bytes that are not UTF-8
        raise UserError(f"{path}: is not a table of a reading: {str(error).splitlines()[0]}") from None
    for column in (*_TEXT, *_NUMBERS):
        if column not in table:
            raise complain(path, "columns", list(table.columns), f"{column!r} is missing")
    if not choice_columns(table) or table.empty:
        raise UserError(f"{path}: has no {'row' if table.empty else f'column {CHOICE}<name>'}; expected a reading")
    for column, allowed in _ALLOWED.items():
        for value in table[column]:
            if value not in allowed:
                raise complain(path, column, value, one_of(allowed, value))
    for column in ("reading", "kind", "size", *choice_columns(table)):
        if table[column].nunique() > 1 or table[column].iloc[0] == "":
            raise complain(path, column, sorted(set(table[column])), "one value in all rows; one file per reading")
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
    """Raise UserError if the readings do not belong together."""
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
    for name, tested in cells.items():
        if odd := sorted(tested ^ cells[primary["reading"]]):
            allowed = f"the same cells as in {files[primary['reading']]}"
            raise complain(files[str(name)], "cell", odd[0], allowed)
