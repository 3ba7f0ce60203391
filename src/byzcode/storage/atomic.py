"""Files that are whole or not there: written under a temporary name, synced, renamed."""

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

#: Bytes that a trial writes, so that a full disk is found, too.
_TRIAL = 4096

#: How often a folder is made anew that another process removes at the same moment, after a trial of its own.
_TRIES = 100

#: The longest name, in bytes, that a temporary one repeats; a file system allows 255 in all.
_LONGEST = 100


def writable(*paths: Path) -> None:
    """Raise UserError where :func:`whole` could not write one of some files: called before the work, not after it.

    It writes a temporary file beside each and removes it, and the folders that it had to make for that.
    """
    for path in paths:
        with _told(path), _begun(path) as temporary:
            temporary.write_bytes(bytes(_TRIAL))


def with_suffixes(stem: Path, *suffixes: str) -> list[Path]:
    """Files that share a name. Raises UserError where the name is that of a folder, and meant so most likely."""
    with _told(stem):
        if stem.name in ("", "..") or stem.is_dir():
            raise OSError(errno.EISDIR, "it is a folder; allowed: the name of the files, without their suffix")
    return [stem.with_name(f"{stem.name}.{suffix}") for suffix in suffixes]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path; what the block writes there is at ``path`` when it ends well, and nowhere otherwise.

    Raises UserError where the file cannot be written.
    """
    with _told(path), _begun(path) as temporary:
        yield temporary
        _sync(temporary)
        _check(path)  # again: the block may have taken long
        temporary.replace(path)
        _sync(path.parent)


@contextmanager
def text(path: Path) -> Iterator[TextIO]:
    """A whole text file, open for writing."""
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield file


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{short(path, 300)}: cannot be written: {reason(error)}") from None


@contextmanager
def _begun(path: Path) -> Iterator[Path]:
    """An empty temporary file beside a path; afterwards it is gone, and so are new folders that are still empty."""
    temporary, made = _begin(path)
    try:
        yield temporary
    finally:
        _end(temporary, made)


def _begin(path: Path) -> tuple[Path, list[Path]]:
    """Make the temporary file and the folders for it, and say which these are. Raises OSError, and leaves nothing."""
    _check(path)
    temporary = _temporary(path)
    for last in reversed(range(_TRIES)):
        made: list[Path] = []
        try:
            for folder in reversed([folder for folder in path.parents if not folder.exists()]):
                with suppress(FileExistsError):  # another process made it at the same moment
                    folder.mkdir()
                    made.append(folder)
            _check(path)  # again: of a name that is too long the system says so only where its folder is there
            temporary.touch()
            break
        except OSError as error:
            _end(temporary, made)
            if not isinstance(error, FileNotFoundError) or not last:  # else another process removed a new folder
                raise
    return temporary, made


def _end(temporary: Path, made: Sequence[Path]) -> None:
    with suppress(OSError):
        temporary.unlink(missing_ok=True)
    with suppress(OSError):
        for folder in reversed(made):
            folder.rmdir()


def _temporary(path: Path) -> Path:
    """Its own on every node of a cluster, and with the suffix by which some writers choose."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:12] + path.suffix[-20:]
    return path.with_name(f".{platform.node()}.{os.getpid()}.part.{name}")


_OTHERS = {
    "a folder": stat.S_ISDIR,
    "a link": stat.S_ISLNK,  # neither followed nor replaced: who made it wants neither
    "a device": lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode),
    "a pipe": stat.S_ISFIFO,
    "a socket": stat.S_ISSOCK,
}


def _check(path: Path) -> None:
    """Raise OSError where no file may have a path, or where what is there may not be replaced by one."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        found = None
    except ValueError as error:  # a NUL in the path, or letters that no file name can have
        raise OSError(errno.EINVAL, str(error)) from None
    kind = next((kind for kind, is_one in _OTHERS.items() if found and is_one(found.st_mode)), None)
    if kind or path.name in ("", ".."):
        raise OSError(errno.EEXIST, f"it is {kind or 'a folder'}; allowed: a new file, or a regular one to be replaced")
    if found:
        _check_replaced(path, found)


def _check_replaced(path: Path, found: os.stat_result) -> None:
    """Raise OSError where a file is protected, though its folder can be written."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in (
            errno.EPERM,
            errno.EROFS,
        ):  # immutable, or mounted alone; a file that is only ours to read is not
            raise
    folder = path.parent.stat()
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in (0, found.st_uid, folder.st_uid):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
