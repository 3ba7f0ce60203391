"""Functions shared by the commands of jobs: they read a request, and write files and a list of their checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byzcode.cli.arguments import COMMAND, files_of, text_of
from byzcode.errors import complain

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import BaseModel

RequestText = Annotated[str, typer.Option(help="A request: a JSON object, or the path of a file that contains one.")]


@contextmanager
def job(
    stage: str,
    model: type[BaseModel],
    request: str,
    results: Path | None,
    files: Sequence[Path],
    listed: Path | None = None,
    entries: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Read and check a request; after the block, which makes ``files`` from it, list their checksums in ``listed``.

    If ``listed`` is left out, the list lies beside the first file.

    Yields the request unchanged, for its hash. Raises UserError before the block if the request is wrong, if a file
    cannot be written, or if an output is also an input. ``results`` is None for a job that reads no results.
    ``entries`` are the components that the job trains with; the block may add some.
    """
    from byzcode.specs.parsing import parse
    from byzcode.specs.plain_json import read_json
    from byzcode.storage import checksums, inputs
    from byzcode.storage.apart import apart
    from byzcode.storage.atomic import writable
    from byzcode.studies.files import folder

    content = read_json(*text_of("--request", request))
    parse(model, content, f"{stage} request")
    if results is not None:
        folder(results)
    writable(*files)
    listed = listed or list_of(files[0])
    writable(listed)
    read = inputs.read_by(stage, content, results or listed.parent)
    apart([*files, listed], [*files_of(request), *read])
    yield content
    checksums.write(listed, stage, content, files, read, entries)


def list_of(table: Path) -> Path:
    """The path of a table's list of checksums. Raises UserError if the table itself has that path."""
    from byzcode.storage import checksums

    listed = checksums.beside(table)
    if listed == table:
        raise complain(COMMAND, "--out", str(table), f"allowed: any suffix but {listed.suffix}, that of its checksum")
    return listed


def write_table(rows: pd.DataFrame, out: Path) -> None:
    """Write a table, either completely or not at all."""
    from byzcode.storage.atomic import text

    with text(out) as file:
        rows.to_csv(file, index=False)
