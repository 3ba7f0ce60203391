"""One Snakemake a folder: a lock of the system, and a note of who holds it, for where machines do not share locks."""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import platform
import tempfile
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from byzcode.errors import UserError

#: Seconds between two signs of life of a holder; they are the time of the file.
SIGN = 30.0

#: Seconds without one after which a holder on another machine counts as dead.
SILENT = 600.0

_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}


class FolderLock:
    """A lock on a file, of this process.

    The system drops it with the process, however that ends, so after a kill there is nothing to mend. On some file
    systems the machines of a cluster do not see each other's locks: so the file says who holds it (machine, process,
    since when) until the lock is released, and its time is a sign of life.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises UserError where another has it, perhaps on another machine, or there can be none."""
        self._file = _locked(path)
        self._ended = threading.Event()
        try:
            _refuse_elsewhere(path, self._file)
            _note(self._file, f"{platform.node()} {os.getpid()} {datetime.now():%Y-%m-%dT%H:%M:%S}\n")
        except OSError as error:
            self._file.close()
            raise UserError(f"{path}: cannot be written: {error.strerror}") from None
        except UserError:
            self._file.close()
            raise
        threading.Thread(target=self._live, name="signs of life", daemon=True).start()
        atexit.register(self.release)

    def release(self) -> None:
        """Give the lock back, and say so in the file. Once more does nothing."""
        if self._ended.is_set():
            return
        self._ended.set()
        atexit.unregister(self.release)
        with suppress(OSError):
            _note(self._file, "")
        with suppress(OSError):
            self._file.close()

    def _live(self) -> None:
        while not self._ended.wait(SIGN):
            with suppress(OSError, ValueError):  # ValueError: closed meanwhile
                os.utime(self._file.fileno())


def _locked(path: Path) -> TextIO:
    allowed = "allowed: a folder that can be written, on a file system with locks (flock)"
    try:
        # Not emptied when it is opened: what stands in it is another's until the lock is ours.
        file = path.open("a+", encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be opened: {error.strerror}; {allowed}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno in _HELD:
            raise UserError("another Snakemake is at work in this folder: wait for it, or stop it") from None
        raise UserError(f"{path}: cannot be locked: {error.strerror}; {allowed}") from None
    return file


def _refuse_elsewhere(path: Path, file: TextIO) -> None:
    """Raise UserError where a Snakemake on another machine holds a file and has lately given a sign of life."""
    file.seek(0)
    match file.read(1000).split():
        case [host, process, since] if host != platform.node():
            silent = _now(path.parent) - os.fstat(file.fileno()).st_mtime
            if silent < SILENT:
                raise UserError(
                    f"another Snakemake is at work in this folder, on {host} (process {process}, since {since}): wait "
                    f"for it, or stop it; if it is dead, delete {path}"
                )


def _now(folder: Path) -> float:
    """The time by the clock that gives a folder's files theirs: that of another machine, perhaps."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".byzcode.now.") as probe:
        return os.fstat(probe.fileno()).st_mtime


def _note(file: TextIO, words: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(words)
    file.flush()
    os.fsync(file.fileno())
