"""One Snakemake per folder: a lock of the system, and a note of who holds it.

The system drops a lock with its process, however that ends, so after a kill there is nothing to mend. The note
(machine, process, since when) serves where machines do not see each other's locks, and where a file system has none at
all (NFS without lockd, Lustre without ``-o flock``). There a second file stands in for the lock: the process that
creates it holds the folder.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import platform
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TextIO

from byzcode.errors import UserError
from byzcode.execution import processes
from byzcode.execution.system_locks import NoLocksError, locked
from byzcode.storage.regular import reason

#: Seconds between two signs of life of a holder; they are the time of the file.
SIGN = 30.0

#: Seconds without one after which a holder on another machine counts as dead.
SILENT = 600.0

#: Seconds in which a file that was just created may be without its note.
_BEGINNING = 10.0

#: What stands in for locks of this process where there are none.
_OWN: set[Path] = set()


class FolderLock:
    """A lock on a file, of this process.

    ``without`` says why the file system has no locks, where it has none. Then a holder on this machine that was killed
    is still noticed at once; one on another machine counts as alive until it has been silent for ``SILENT`` seconds.
    """

    def __init__(self, path: Path, place: str = "in this folder") -> None:
        """Take the lock. Raises UserError where another has it, perhaps on another machine, or there can be none."""
        self.path = path
        self._file, self.without = _locked(path, place)
        self._stand_in = path.with_name(f"{path.name}.held")
        self._ended = threading.Event()
        note = f"{platform.node() or 'unknown'} {os.getpid()} {datetime.now():%Y-%m-%dT%H:%M:%S}\n"
        try:
            for file in (path, self._stand_in):
                if holder := Holder.of(file):
                    raise _refused(place, holder, file)
            if self.without and not _created(self._stand_in, note):
                raise _refused(place, None, self._stand_in)
            _write(self._file, note)
        except OSError as error:
            self._close()
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
            _write(self._file, "")
        self._close()

    def _close(self) -> None:
        if self._stand_in in _OWN:
            _OWN.discard(self._stand_in)
            with suppress(OSError):
                self._stand_in.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()

    def _live(self) -> None:
        while not self._ended.wait(SIGN):
            with suppress(OSError, ValueError):  # ValueError: closed meanwhile
                os.utime(self._file.fileno())
                if self.without:
                    os.utime(self._stand_in)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: a process of a machine, since a time."""

    host: str
    process: int
    since: datetime

    @classmethod
    def of(cls, path: Path) -> Holder | None:
        """The holder that a file notes, if it lives: on this machine, its process; on another one, by its signs."""
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                silent = _now(path.parent) - os.fstat(file.fileno()).st_mtime
                host, process, since = file.read(1000).split()
            noted = cls(host, int(process), datetime.fromisoformat(since))
        except (FileNotFoundError, ValueError):
            return None
        if noted.host != platform.node():
            return noted if silent < SILENT else None
        own = noted.process == os.getpid()  # also of a Snakemake that has started itself again
        return noted if (path in _OWN if own else processes.runs(noted.process, noted.since)) else None


def _locked(path: Path, place: str) -> tuple[TextIO, str]:
    """A file with a lock, or without one and the reason for it."""
    try:
        # Not emptied when it is opened: what stands in it is another's until the lock is ours.
        file = path.open("a+", encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be opened: {reason(error)}; allowed: a folder that can be written") from None
    try:
        if not locked(partial(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB), path):
            raise _refused(place, Holder.of(path), path)
    except NoLocksError as error:
        return file, str(error)
    except UserError:
        file.close()
        raise
    return file, ""


def _refused(place: str, holder: Holder | None, path: Path) -> UserError:
    begun, end = f"another Snakemake is at work {place}", "wait for it, or stop it"
    if holder is None:
        return UserError(f"{begun}: {end}")
    about = f"process {holder.process}, since {holder.since:%Y-%m-%dT%H:%M:%S}"
    if holder.host == platform.node():
        return UserError(f"{begun}: {end} ({about})")
    return UserError(f"{begun}, on {holder.host} ({about}): {end}; if it is dead, delete {path}")


def _created(path: Path, note: str) -> bool:
    """Create a file that no other process has created, and write a note into it. Whether it could be created."""
    for _ in range(2):
        try:
            with path.open("x", encoding="utf-8") as file:
                _OWN.add(path)
                _write(file, note)
            return True
        except FileExistsError:
            _clear(path)
    return False


def _clear(path: Path) -> None:
    """Remove a file whose holder is dead. Of several processes that want to, one does it."""
    turn = path.with_name(f"{path.name}.clear")
    try:
        turn.open("x").close()
    except FileExistsError:
        if _age(turn) > SILENT:  # killed in the middle
            turn.unlink(missing_ok=True)
        return
    try:
        beginning = path.exists() and path.stat().st_size == 0 and _age(path) < _BEGINNING
        if not beginning and Holder.of(path) is None:
            path.unlink(missing_ok=True)
    finally:
        turn.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return _now(path.parent) - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _now(folder: Path) -> float:
    """The time by the clock that gives a folder's files theirs: that of another machine, perhaps."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".byzcode.now.") as probe:
        return os.fstat(probe.fileno()).st_mtime


def _write(file: TextIO, words: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(words)
    file.flush()
    os.fsync(file.fileno())
