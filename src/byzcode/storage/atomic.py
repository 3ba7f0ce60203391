"""Atomic writes: a file is written under a temporary name, synced and renamed, so it is complete or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from byzcode.errors import UserError, short
from byzcode.storage.regular import reason

#: Number of bytes of a trial write, which also detects a full disk.
_TRIAL = 4096

#: How often to recreate a folder that another process removes at the same moment, after its own trial.
_TRIES = 100

#: The longest file name, in bytes, that becomes part of a temporary name; file systems allow 255 in total.
_LONGEST = 100


def writable(*paths: Path) -> None:
    """Raise UserError if :func:`replacing` could not write one of the files. Call it before the work.

    It writes a temporary file beside each path, and removes it together with the folders that it had to create.
    """
    for path in paths:
        with _one_line(path), _begun(path) as temporary:
            temporary.write_bytes(bytes(_TRIAL))


def with_suffixes(stem: Path, *suffixes: str) -> list[Path]:
    """The paths ``stem`` plus each suffix. Raises UserError if ``stem`` is a folder, which is probably a mistake."""
    with _one_line(stem):
        if stem.name in ("", "..") or stem.is_dir():
            raise OSError(errno.EISDIR, "it is a folder; allowed: the name of the files, without their suffix")
    return [stem.with_name(f"{stem.name}.{suffix}") for suffix in suffixes]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and move the file to ``path`` if the block succeeds; otherwise remove it.

    Raises UserError if the file cannot be written.
    """
    with _one_line(path), _begun(path) as temporary:
        yield temporary
        _sync(temporary)
        _check(path)  # check again: the block may have taken long
        temporary.replace(path)
        _sync(path.parent)


@contextmanager
def text(path: Path) -> Iterator[TextIO]:
    """A text file, open for writing, that appears only if the block succeeds (see :func:`replacing`)."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{short(path, 300)}: cannot be written: {reason(error)}") from None


@contextmanager
def _begun(path: Path) -> Iterator[Path]:
    """An empty temporary file beside a path; at the end, remove it and the new folders that are still empty."""
    temporary, made = _begin(path)
    try:
        yield temporary
    finally:
        _end(temporary, made)


def _begin(path: Path) -> tuple[Path, list[Path]]:
    """Create the temporary file and missing folders, and return both. Raises OSError and then leaves nothing behind."""
    _check(path)
    temporary = _temporary(path)
    for last in reversed(range(_TRIES)):
        made: list[Path] = []
        try:
            for folder in reversed([folder for folder in path.parents if not folder.exists()]):
                with suppress(FileExistsError):  # another process made it at the same moment
                    folder.mkdir()
                    made.append(folder)
            _check(path)  # check again: the system reports a name that is too long only once the folder exists
            temporary.touch()
            break
        except OSError as error:
            _end(temporary, made)
            if not isinstance(error, FileNotFoundError) or not last:  # retry if another process removed a new folder
                raise
    return temporary, made


def _end(temporary: Path, made: Sequence[Path]) -> None:
    with suppress(OSError):
        temporary.unlink(missing_ok=True)
    with suppress(OSError):
        for folder in reversed(made):
            folder.rmdir()


def _temporary(path: Path) -> Path:
    """A temporary name, unique per node and process; it keeps the suffix, from which some writers infer the format."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:12] + path.suffix[-20:]
    return path.with_name(f".{platform.node()}.{os.getpid()}.part.{name}")


_OTHERS = {
    "a folder": stat.S_ISDIR,
    "a link": stat.S_ISLNK,  # neither follow nor replace a link that a user made
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    "a pipe": stat.S_ISFIFO,
    "a socket": stat.S_ISSOCK,
}


def _check(path: Path) -> None:
    """Raise OSError if no file can have this path, or if what exists there must not be replaced by a file."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        status = None
    except ValueError as error:  # a NUL in the path, or characters that the file system cannot encode
        raise OSError(errno.EINVAL, str(error)) from None
    kind = next((kind for kind, is_kind in _OTHERS.items() if status and is_kind(status.st_mode)), None)
    if kind or path.name in ("", ".."):
        raise OSError(errno.EEXIST, f"it is {kind or 'a folder'}; allowed: a new file, or a regular one to be replaced")
    if status:
        _check_replaced(path, status)


def _check_replaced(path: Path, status: os.stat_result) -> None:
    """Raise OSError if a file is protected although its folder is writable."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))
    except OSError as error:
        # Refuse immutable files and read-only mounts; a merely read-only file may be replaced.
        if error.errno in (errno.EPERM, errno.EROFS):
            raise
    folder = path.parent.stat()
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in (0, status.st_uid, folder.st_uid):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
