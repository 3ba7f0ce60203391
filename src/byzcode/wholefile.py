"""Files that are whole or not there: written under a temporary name, synced, renamed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from byzcode.errors import UserError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path; what the block writes there is at ``path`` when it ends well, and nowhere otherwise.

    Raises UserError where the file cannot be written.
    """
    # Its own on every node of a cluster, and with the suffix by which some writers choose.
    temporary = path.with_name(f".{platform.node()}.{os.getpid()}.part.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def text(path: Path) -> Iterator[TextIO]:
    """A whole text file, open for writing."""
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
