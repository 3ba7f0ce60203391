"""The command that says how two runs differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byzcode.cli.arguments import Configs, Json, console, print_json
from byzcode.cli.completion import runs
from byzcode.errors import complain, one_of, printable, short

if TYPE_CHECKING:
    from rich.table import Table

    from byzcode.analysis.difference import Change, Difference, Largest, Level
    from byzcode.specs.run import RunSpec
    from byzcode.storage.netcdf import Stored

_Run = typer.Argument(
    metavar="RUN", help="A trajectory file, or the id of a stored run or its first digits.", autocompletion=runs
)


def compare(
    left: Annotated[str, _Run],
    right: Annotated[str, _Run],
    config: Configs = None,
    json: Json = False,
) -> None:
    """Say how two runs differ, in what was asked and in what came out; paired by seed and iteration."""
    from dataclasses import asdict

    from byzcode.analysis.difference import difference

    stored = [_stored(run, config) for run in (left, right)]
    found = difference(*stored)
    if json:
        print_json({"left": left, "right": right, **asdict(found)})
        return
    for side, run in zip(("left", "right"), stored, strict=True):
        print(f"{side:<5} {run.attributes['run_id']}  {run.attributes['title']}")
    terminal = console(160)
    for title, changes in (("What was asked", found.spec), ("What made them", found.made_by)):
        if changes:
            terminal.print(_changes(title, changes))
        else:
            print(f"{title}: the same.")
    if found.quantities:
        terminal.print(_quantities(found))
    for line in _lines(found):
        print(line)


def _stored(given: str, config: list[str] | None) -> Stored[RunSpec]:
    """A stored run, by its file or by its id. Raises UserError if there is no such run, or if its file is damaged."""
    from byzcode.storage import trajectories
    from byzcode.storage.layout import NETCDF, STAGES
    from byzcode.studies.workflow_config import settings

    if "/" in given or given.endswith(f".{NETCDF}"):
        return trajectories.load(given)
    folder = Path(settings(config or ()).results) / STAGES["train"].folder
    files = {path.stem: path for path in sorted(folder.glob(f"[!.]*.{NETCDF}"))}
    matches = [name for name in files if given and name.startswith(given)]
    if len(matches) != 1:
        allowed = one_of(matches, given) if matches else f"no such run in {folder}; allowed: the id of one, or a file"
        raise complain("byzcode compare", "RUN", given, allowed)
    return trajectories.load(files[matches[0]], matches[0])


def _table(title: str, *headers: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _changes(title: str, changes: Sequence[Change]) -> Table:
    table = _table(title, "key", "left", "right")
    for change in changes:
        table.add_row(change.key, *map(_value, (change.left, change.right)))
    return table


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list) and len(value) > 2 and value == list(range(value[0], value[0] + len(value))):
        return f"{value[0]} to {value[-1]}"  # seeds
    return printable(short(value, 60))


def _quantities(found: Difference) -> Table:
    table = _table(
        "What came out, at the last recorded iteration: median over seeds (quartiles)",
        *("quantity", "left", "right", "largest difference", "largest relative"),
    )
    for quantity in found.quantities:
        levels = _level(quantity.left), _level(quantity.right)
        table.add_row(quantity.name, *levels, _largest(quantity.absolute), _largest(quantity.relative))
    return table


def _level(level: Level) -> str:
    around = "" if level.low == level.median == level.high else f" ({level.low:.3g} to {level.high:.3g})"
    return f"{level.median:.4g}{around}"


def _largest(largest: Largest | None) -> str:
    if largest is None:
        return "-"
    return f"{largest.value:.3g} (seed {largest.seed}, at {largest.iteration})" if largest.value else "0"


def _lines(found: Difference) -> Iterator[str]:
    if found.sources:
        yield f"Sources that changed in between: {', '.join(found.sources)}."
    if found.identical:
        yield "All numbers are the same, to the bit."
    elif found.seeds and found.iterations:
        yield f"Differences: over {len(found.seeds)} seeds and {found.iterations} iterations that both have."
    else:
        what = "iteration" if found.seeds else "seed"
        yield f"No differences: the runs have no {what} in common."
    if alone := max((quantity.alone for quantity in found.quantities), default=0):
        yield f"Up to {alone} pairs have a number on one side only: there a seed ended early."
    for side, names in (("left", found.only_left), ("right", found.only_right)):
        if names:
            yield f"Only {side} has: {', '.join(names)}."
