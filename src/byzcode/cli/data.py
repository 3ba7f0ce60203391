"""The command that brings data sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from byzcode.cli.arguments import COMMAND, Configs
from byzcode.errors import complain, one_of


def data(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Data sets; a list if left out.")
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option(help="A route to try, in this order; may be given several times. By default, data.routes."),
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="A folder for the route file, with the files plain or as .gz.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder of the results; that of the configuration if left out.")
    ] = None,
    config: Configs = None,
) -> None:
    """Bring the files of data sets into the folder data of the results, and check them; or list the data sets.

    Files that are there already are kept if they are the right ones. Packages are unpacked, not installed.
    """
    from byzcode.fetch import ROUTES, bring
    from byzcode.studies.workflow_config import settings

    for each in route or ():
        if each not in ROUTES:
            raise complain(COMMAND, "--route", each, f"no such route; {one_of(ROUTES, each)}")
    configured = settings(config or ())
    folder = Path(configured.results) if results is None else results
    if not names:
        _list(folder)
        return
    given = files or (Path(configured.data.files) if configured.data.files else None)
    for name in dict.fromkeys(names):
        made = bring(name, folder, route or configured.data.routes, given, lambda line: print(line, file=sys.stderr))
        print(f"{made}: the files of {name} are there and checked")


def _list(results: Path) -> None:
    """A line for each data set: whether its files are there and right, its size and its licence."""
    from byzcode.data import DATA_SETS
    from byzcode.fetch import state_of

    for name, known in DATA_SETS.items():
        size = f"{known.training} + {known.test} examples, {known.features} features"
        kind = f"{known.classes} classes" if known.classes else "regression"
        print(f"{name}: {state_of(name, results)}; {size}, {kind}; licence: {known.licence}; {known.source}")
