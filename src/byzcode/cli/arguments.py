"""The options that commands share, and functions that read their values."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byzcode.errors import complain

if TYPE_CHECKING:
    from rich.console import Console

    from byzcode.studies.configuration import Configuration
    from byzcode.studies.plan import Plan

#: The place that error messages name for a mistake on the command line.
COMMAND = "the command"


def _path_of_file(text: object) -> Path:
    """The path after ``--out``. Refuses a path that ends with /, because ``Path`` would drop the slash."""
    if not str(text) or str(text).endswith("/"):
        raise complain(COMMAND, "--out", text, "allowed: the path of a file, which does not end with /")
    return Path(str(text))


def _option(help: str) -> Any:  # noqa: A002 - as typer names it
    return typer.Option(help=help, parser=_path_of_file, metavar="PATH")


Out = Annotated[Path, _option("File to write.")]
Stem = Annotated[Path, _option("Files to write, without their suffix.")]
OutArchive = Annotated[Path, _option("File to write, *.tar.gz.")]
OutReport = Annotated[Path, _option("File to write, *.pdf.")]
Results = Annotated[Path, typer.Option(help="Folder of the results.")]
SpecText = Annotated[str, typer.Option(help="A spec: a JSON object, or the path of a file that contains one.")]
Configs = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        "--configfile",
        metavar="FILE or KEY=VALUE",
        help="Overrides config/config.yaml, as in Snakemake; may be given several times.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

#: The largest size of a request or a spec; that of 100,000 runs has about 10 million bytes.
_MOST_BYTES = 2**28


def read_spec(model: Any, text: str) -> Any:
    """A spec, from a JSON text or from the file that contains it."""
    return model.from_json(*text_of("--spec", text))


def text_of(option: str, text: str) -> tuple[str, str]:
    """A JSON text, given directly or by the path of its file, and the place that error messages name."""
    if _is_json(text):
        return text, option
    from byzcode.studies.files import read_text

    return read_text(text, most=_MOST_BYTES), text


def files_of(*given: str | Path | None) -> list[Path]:
    """The files among the arguments of a command: paths, and texts that are not JSON."""
    return [Path(each) for each in given if isinstance(each, Path) or (each and not _is_json(each))]


def _is_json(text: str) -> bool:
    return not text.strip() or text.lstrip()[0] in "{["


def load(config: list[str] | None) -> tuple[Plan, Configuration]:
    """The plan of a configuration, and the configuration with the files that it comes from."""
    from byzcode.studies.configuration import Configuration
    from byzcode.studies.plan import load_plan

    configuration = Configuration.read(config or ())
    return load_plan(configuration.values, configuration.where), configuration


def print_json(value: Any) -> None:
    """Print an answer as JSON, which has no NaN and no infinity: they become null."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """The value with lists for other sequences and with text for paths and the like."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def console(width: int) -> Console:
    """The console that prints tables: as wide as the terminal, or of ``width`` if the output is not a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else width)
