"""Files that are read and files that are written are different ones: tried before the work, as their places are."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from byzcode.errors import UserError, short


def apart(made: Iterable[Path], read: Iterable[Path]) -> None:
    """Raise UserError where a file that is to be written is one of those that it is made of: that one would be lost."""
    there: dict[tuple[int, int], Path] = {}
    for path in made:
        with suppress(OSError, ValueError):
            there[_identity(path)] = path
    for path in read if there else ():  # most often nothing is there yet
        with suppress(OSError, ValueError):
            if (written := there.get(_identity(path))) is not None:
                why = f"it is read, as {short(path, 300)}; allowed: a file that is not read"
                raise UserError(f"{short(written, 300)}: cannot be written: {why}")


def _identity(path: Path) -> tuple[int, int]:
    """What two names of one file share."""
    found = path.stat()
    return found.st_dev, found.st_ino
