"""Commands that begin something: a folder with the workflow, a component or a study."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from byzcode.cli.completion import kinds


def init(folder: Annotated[Path, typer.Argument(help="A new or an empty folder.")]) -> None:
    """Lay out the workflow with its configuration, studies and profiles in a folder; no clone is needed."""
    from byzcode.scaffold.project import lay_out

    lay_out(folder)
    print(f"{folder}: the workflow and its configuration. Next:")
    if find_spec("snakemake") is None:
        print("  pip install 'byzcode[workflow]'   # Snakemake, which is not installed here")
    print(f"  cd {shlex.quote(str(folder))}")
    print("  snakemake --cores 2 --configfile config/quick/config.yaml   # a first look, at a small size")
    print("  snakemake --cores 2                                         # all figures and the scorecard")
    print("  byzcode new study NAME                                      # a study of your own")


def new(
    kind: Annotated[
        str,
        typer.Argument(
            help="attack, rule, compressor, allocation, problem, data (a data set) or study.", autocompletion=kinds
        ),
    ],
    name: Annotated[str, typer.Argument(help="Its name, which is that of its file.")],
    project: Annotated[Path, typer.Option(help="Folder of the project.")] = Path(),
) -> None:
    """Write the file of a new component or study, which passes the tests as it stands, and say what comes next."""
    from byzcode.scaffold.new import write

    path, following = write(kind, name, project)
    print(f"{path}: written. Next:")
    for line in following:
        print(f"  {line}")
