"""Regular files that users name, read up to a size limit. Opening a pipe would block, and a device has no end."""

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
    """A regular file, open for reading. Raises OSError for any other; ValueError for a path that contains a NUL."""
    _refuse(os.stat(path))  # noqa: PTH116 - before opening it, because opening some devices has side effects
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _refuse(os.fstat(descriptor))  # the path may have been replaced meanwhile
        yield file


def content(path: str | Path, most: int) -> bytes:
    """The bytes of a regular file. Raises as :func:`opened` does, and OSError for more than ``most`` bytes."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"{size} bytes; allowed: at most {most}")
        parts = [file.read(size + 1)]
        size_read = len(parts[0])
        while size_read > size and parts[-1]:  # the file grows, or the system does not know its size (as in /proc)
            if size_read > most:
                raise OSError(errno.EFBIG, f"more than {most} bytes; allowed: at most {most}")
            parts.append(file.read(_BLOCK))
            size_read += len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)


def reason(error: OSError | ValueError) -> str:
    """A short reason why a file cannot be read or written."""
    return getattr(error, "strerror", None) or str(error)


def _refuse(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
