"""Regular files that others name, read up to a limit of bytes: to open a pipe waits, and a device has no end."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_BLOCK = 2**20


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """A regular file, open for reading. Raises OSError where it is none; ValueError for a path with a NUL in it."""
    _refuse(os.stat(path))  # noqa: PTH116 - before it is opened: to open some devices does something
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _refuse(os.fstat(descriptor))  # it may be another one by now
        yield file


def content(path: str | Path, most: int) -> bytes:
    """The bytes of a regular file. Raises OSError and ValueError as :func:`opened` does, and beyond ``most`` bytes."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"{size} bytes; allowed: at most {most}")
        parts = [file.read(size + 1)]
        found = len(parts[0])
        while found > size and parts[-1]:  # it grows, or it is one of those whose size the system does not know
            if found > most:
                raise OSError(errno.EFBIG, f"more than {most} bytes; allowed: at most {most}")
            parts.append(file.read(_BLOCK))
            found += len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)


def reason(error: OSError | ValueError) -> str:
    """Why a file cannot be read or written, in a few words."""
    return getattr(error, "strerror", None) or str(error)


def _refuse(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
