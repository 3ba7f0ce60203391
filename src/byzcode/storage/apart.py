"""Check before the work that a command does not overwrite a file that it reads."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from byzcode.errors import UserError, short


def apart(made: Iterable[Path], read: Iterable[Path]) -> None:
    """Raise UserError if a file to be written is also an input, because writing would destroy the input."""
    outputs: dict[tuple[int, int], Path] = {}
    for path in made:
        with suppress(OSError, ValueError):
            outputs[_identity(path)] = path
    for path in read if outputs else ():  # usually no output exists yet
        with suppress(OSError, ValueError):
            if (written := outputs.get(_identity(path))) is not None:
                why = f"it is also an input ({short(path, 300)}); allowed: a file that is not an input"
                raise UserError(f"{short(written, 300)}: cannot be written: {why}")


def _identity(path: Path) -> tuple[int, int]:
    """The file-system device and the inode, which all names of a file share."""
    status = path.stat()
    return status.st_dev, status.st_ino
