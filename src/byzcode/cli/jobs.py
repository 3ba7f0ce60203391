"""What the commands of the workflow's jobs share: a request goes in, files and the list of their checksums come out."""

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

RequestText = Annotated[str, typer.Option(help="What to make, as JSON, or the path of a file that holds it.")]


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
    """Read and check a request; after the block, which makes ``files`` of it, list their checksums in ``listed``.

    A table has its list beside it if ``listed`` is left out.

    The request is returned as it stands, for its hash. Before the block, raises UserError where the request is wrong,
    or where a file cannot be written, or is one of those that are read. ``results`` is None for a job that reads none.
    ``entries`` are those of the components that it trains with; they may be added in the block.
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
    """Where the list of a table lies. Raises UserError where the table itself would lie there."""
    from byzcode.storage import checksums

    listed = checksums.beside(table)
    if listed == table:
        raise complain(COMMAND, "--out", str(table), f"allowed: any suffix but {listed.suffix}, that of its checksum")
    return listed


def write_table(rows: pd.DataFrame, out: Path) -> None:
    """Write a table, all of it or nothing."""
    from byzcode.storage.atomic import text

    with text(out) as file:
        rows.to_csv(file, index=False)
