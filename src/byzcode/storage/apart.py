"""Check before the work that a command does not overwrite a file that it reads."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from byzcode.errors import UserError, short


def apart(made: Iterable[Path], read: Iterable[Path]) -> None:
    """Raise UserError if a file to be written is also an input, because writing would destroy the input."""
    there: dict[tuple[int, int], Path] = {}
    for path in made:
        with suppress(OSError, ValueError):
            there[_identity(path)] = path
    for path in read if there else ():  # usually no output exists yet
        with suppress(OSError, ValueError):
            if (written := there.get(_identity(path))) is not None:
                why = f"it is read, as {short(path, 300)}; allowed: a file that is not read"
                raise UserError(f"{short(written, 300)}: cannot be written: {why}")


def _identity(path: Path) -> tuple[int, int]:
    """The file-system device and the inode, which all names of a file share."""
    found = path.stat()
    return found.st_dev, found.st_ino
