"""What the commands share: their options, and what they are given in them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byzcode.errors import complain

if TYPE_CHECKING:
    from rich.console import Console

    from byzcode.studies.configuration import Configuration
    from byzcode.studies.plan import Plan

#: Where a mistake of the command line is.
COMMAND = "the command"


def _path_of_file(text: object) -> Path:
    """The path after ``--out``. One that ends with / would be taken for a file's."""
    if not str(text) or str(text).endswith("/"):
        raise complain(COMMAND, "--out", text, "allowed: the path of a file, which does not end with /")
    return Path(str(text))


def _option(help: str) -> Any:  # noqa: A002 - as typer names it
    return typer.Option(help=help, parser=_path_of_file, metavar="PATH")


Out = Annotated[Path, _option("File to write.")]
Stem = Annotated[Path, _option("Files to write, without their suffix.")]
OutArchive = Annotated[Path, _option("File to write, *.tar.gz.")]
Results = Annotated[Path, typer.Option(help="Folder of the results.")]
SpecText = Annotated[str, typer.Option(help="A spec: a JSON object, or the path of a file that holds one.")]
Configs = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        "--configfile",
        metavar="FILE or KEY=VALUE",
        help="Laid over config/config.yaml, as by Snakemake; may be given several times.",
    ),
]

#: Of a request or a spec: that of 100,000 runs has some 10 million.
_MOST_BYTES = 2**28


def read_spec(model: Any, text: str) -> Any:
    """A spec from a JSON text or from the file that holds one."""
    return model.from_json(*text_of("--spec", text))


def text_of(option: str, text: str) -> tuple[str, str]:
    """A JSON text, given as such or as the file that holds it; and where it stands."""
    if _is_json(text):
        return text, option
    from byzcode.studies.files import read_text

    return read_text(text, most=_MOST_BYTES), text


def files_of(*given: str | Path | None) -> list[Path]:
    """The files among what a command is given: paths, and texts that are no JSON themselves."""
    return [Path(each) for each in given if isinstance(each, Path) or (each and not _is_json(each))]


def _is_json(text: str) -> bool:
    return not text.strip() or text.lstrip()[0] in "{["


def load(config: list[str] | None) -> tuple[Plan, Configuration]:
    """What a configuration asks for, and the files in which it stands."""
    from byzcode.studies.configuration import Configuration
    from byzcode.studies.plan import load_plan

    configuration = Configuration.read(config or ())
    return load_plan(configuration.values, configuration.where), configuration


def console(width: int) -> Console:
    """Where tables are printed: as wide as the terminal; of that width where the output is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else width)
