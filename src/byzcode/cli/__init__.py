"""The command line. Each command is thin: it reads its arguments and calls one function of the library."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Callable
from functools import cache

import typer

from byzcode.cli import advice, beginning, checking, comparing, data, pages, planning, tables, training
from byzcode.errors import UserError

app = typer.Typer(
    name="byzcode",
    help="Coded robust aggregation for distributed learning with Byzantine devices.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for command in (
    *(beginning.init, beginning.new, data.data),
    *(training.allocate, training.allocations, training.train),
    *(tables.summarise, tables.claims, pages.scorecard, pages.gallery, pages.figure),
    *(tables.heldout, tables.reading, pages.multiverse),
    *(advice.recommend, planning.plan, planning.explain, comparing.compare),
    *(checking.verify, checking.archive, checking.report, checking.freeze, checking.schema),
):
    app.command()(command)


@cache
def commands() -> Callable[[], object]:
    """All commands with their arguments; reading their annotations takes a twentieth of a second."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the command line. A user's mistake ends with one line and exit status 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # some terminals and logs cannot show all letters
    try:
        commands()()
    except UserError as error:
        print(f"byzcode: {error}", file=sys.stderr)
        sys.exit(1)
    except MemoryError as error:
        print(f"byzcode: there is not enough memory: {error or 'none is left'}", file=sys.stderr)
        sys.exit(1)
    finally:
        gc.freeze()  # skip the last garbage collection, which takes a third of a second with a plotting library


if __name__ == "__main__":
    main()
