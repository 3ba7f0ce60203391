"""What the commands share: specs and requests that they are given, files that they are to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byzcode.errors import complain

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import BaseModel


def _of_a_file(text: object) -> Path:
    """What stands behind ``--out``: a name that ends like that of a folder would be taken for a file's."""
    if not str(text) or str(text).endswith("/"):
        raise complain(_HERE, "--out", text, "allowed: the path of a file, which does not end with /")
    return Path(str(text))


#: Where a mistake of the command line is.
_HERE = "the command"


def _option(help: str) -> Any:  # noqa: A002 - as typer names it
    return typer.Option(help=help, parser=_of_a_file, metavar="PATH")


Out = Annotated[Path, _option("File to write.")]
Stem = Annotated[Path, _option("Files to write, without their suffix.")]
OutArchive = Annotated[Path, _option("File to write, *.tar.gz.")]


def read_spec(model: Any, text: str) -> Any:
    """A spec from a JSON text or from the file that holds one."""
    return model.from_json(*_read_json("--spec", text))


def files_of(*given: str | Path | None) -> list[Path]:
    """The files among what a command is given: paths, and texts that are no JSON themselves."""
    return [Path(one) for one in given if isinstance(one, Path) or (one and not _is_json(one))]


def _is_json(text: str) -> bool:
    return not text.strip() or text.lstrip()[0] in "{["


def _read_json(option: str, text: str) -> tuple[str, str]:
    """A JSON text, given as such or as the file that holds it; and where it stands."""
    if _is_json(text):
        return text, option
    from byzcode.studies.files import read_text

    return read_text(text, most=_MOST_BYTES), text


#: Of a request or a spec: that of 100,000 runs has some 10 million.
_MOST_BYTES = 2**28


def write_table(
    rows: pd.DataFrame,
    out: Path,
    stage: str,
    asked: Mapping[str, Any],
    results: Path,
    entries: Sequence[str] = (),
) -> None:
    """A table, made of files in a folder of results, and the list of its checksum.

    ``entries`` are those of the components that it was trained with.
    """
    from byzcode.storage import checksums, inputs
    from byzcode.storage.atomic import text as writing

    with writing(out) as file:
        rows.to_csv(file, index=False)
    checksums.write(checksums.beside(out), stage, asked, [out], inputs.read_by(stage, asked, results), entries)


def try_table(out: Path, stage: str, request: str, asked: Mapping[str, Any], results: Path) -> None:
    """Raise UserError where a table, or the list of its checksum, cannot be written, or is read."""
    from byzcode.storage import checksums

    try_files([out], stage, request, asked, results)
    listed = checksums.beside(out)
    if listed == out:
        raise complain(_HERE, "--out", str(out), f"allowed: any suffix but {listed.suffix}, that of its checksum")
    try_files([listed], stage, request, asked, results)


def try_files(made: Sequence[Path], stage: str, request: str, asked: Mapping[str, Any], results: Path) -> None:
    """Raise UserError where a file that a stage makes cannot be written, or is one of those that it reads."""
    from byzcode.storage import inputs
    from byzcode.storage.apart import apart
    from byzcode.storage.atomic import writable

    writable(*made)
    apart(made, [*files_of(request), *inputs.read_by(stage, asked, results)])


def write_list(listed: Path, stage: str, asked: Mapping[str, Any], results: Path, made: Sequence[Path]) -> None:
    """The list of the checksums of some files, made of files in a folder of results."""
    from byzcode.storage import checksums, inputs

    checksums.write(listed, stage, asked, made, inputs.read_by(stage, asked, results))


def read_request(model: type[BaseModel], where: str, request: str, results: Path | None = None) -> dict[str, Any]:
    """A request of the workflow, as it writes them itself: a JSON text, or the file that holds a long one.

    It is returned as it stands, for its hash; what it asks for, and whether there are results, is checked before.
    """
    from byzcode.specs.plain_json import read_json
    from byzcode.specs.run import parse
    from byzcode.studies.files import folder

    found = read_json(*_read_json("--request", request))
    parse(model, found, where)
    if results is not None:
        folder(results)
    return found
