"""Allow one Snakemake per folder, by a lock of the system and a note that names the process that has it.

The system releases a lock when its process ends, however it ends, so a kill leaves nothing to repair. The note
(machine, process, start time) is needed if machines do not see each other's locks, or if the file system has no locks
(NFS without lockd, Lustre without ``-o flock``). In the latter case a second file replaces the lock: the process that
creates it has the folder.
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

#: Seconds between two signs of life of a holder, which updates the time of the file.
SIGN = 30.0

#: Seconds without a sign of life after which a holder on another machine counts as dead.
SILENT = 600.0

#: Seconds for which a file that was just created may lack its note.
_BEGINNING = 10.0

#: The files of this process that replace locks on file systems without locks.
_OWN: set[Path] = set()


class FolderLock:
    """A lock of this process on a file.

    If the file system has no locks, ``without`` says why. A killed holder on this machine is then still noticed at
    once; a holder on another machine counts as alive until it has given no sign of life for ``SILENT`` seconds.
    """

    def __init__(self, path: Path, place: str = "in this folder") -> None:
        """Take the lock. Raises UserError if another process has it, perhaps on another machine, or on failure."""
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
        """Release the lock and clear the note. A second call does nothing."""
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
    """The holder of a lock: a process of a machine, since a time."""

    host: str
    process: int
    since: datetime

    @classmethod
    def of(cls, path: Path) -> Holder | None:
        """The holder that a file names, if it is alive: by its process on this machine, by signs of life on another."""
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                silent = _now(path.parent) - os.fstat(file.fileno()).st_mtime
                host, process, since = file.read(1000).split()
            noted = cls(host, int(process), datetime.fromisoformat(since))
        except (FileNotFoundError, ValueError):
            return None
        if noted.host != platform.node():
            return noted if silent < SILENT else None
        own = noted.process == os.getpid()  # also true for a Snakemake that has restarted itself
        return noted if (path in _OWN if own else processes.runs(noted.process, noted.since)) else None


def _locked(path: Path, place: str) -> tuple[TextIO, str]:
    """The file with its lock and ``""``, or without a lock and the reason."""
    try:
        # Do not empty the file when opening it: its note belongs to another process until the lock is ours.
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
    """Create a file and write a note into it. Return False if another process has created it first."""
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
    """Remove a file whose holder is dead. If several processes try, only one does it."""
    turn = path.with_name(f"{path.name}.clear")
    try:
        turn.open("x").close()
    except FileExistsError:
        if _age(turn) > SILENT:  # the process that created it was killed here
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
    """The time of the clock that stamps the files of a folder; it may be the clock of another machine."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".byzcode.now.") as probe:
        return os.fstat(probe.fileno()).st_mtime


def _write(file: TextIO, words: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(words)
    file.flush()
    os.fsync(file.fileno())
