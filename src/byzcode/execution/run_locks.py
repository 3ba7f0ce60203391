"""Locks on runs that are trained."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from byzcode.errors import UserError
from byzcode.execution.system_locks import NoLocksError, locked

#: In a folder of results: the lock of the Snakemake that makes them, and those of the runs that are trained alone.
RESULTS_LOCK, RUN_LOCKS = ".byzcode.lock", ".byzcode.runs"


class RunLocks:
    """Which runs this process trains: a byte of one file per run, locked.

    ``without`` is true where the file system has no locks: then whoever asks for a run gets it.
    """

    _CHOICE = 0  # the byte of the process that is choosing runs

    def __init__(self, path: Path) -> None:
        """Open the file. Raises UserError where it cannot be written."""
        self.without = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
        except OSError as error:
            raise UserError(f"{path.parent}: cannot be written: {error.strerror}") from None

    def __enter__(self) -> RunLocks:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def take(self, run: str, *, wait: bool = False) -> bool:
        """Try to lock a run; with ``wait``, block until it is locked. To lock it twice is no harm."""
        return self._lock(self._byte(run), fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def leave(self, run: str) -> None:
        """Unlock a run."""
        self._lock(self._byte(run), fcntl.LOCK_UN)

    @contextmanager
    def choosing(self) -> Iterator[None]:
        """Let one process at a time choose; two that begin at once would share out a batch at random."""
        self._lock(self._CHOICE, fcntl.LOCK_EX)
        try:
            yield
        finally:
            self._lock(self._CHOICE, fcntl.LOCK_UN)

    def _byte(self, run: str) -> int:
        return 1 + int(run, 16)  # of a run's own, whatever is listed; a file need not reach so far to be locked there

    def _lock(self, byte: int, how: int) -> bool:
        try:
            return locked(partial(fcntl.lockf, self._file, how, 1, byte), self._file.name)
        except NoLocksError:
            self.without = True
            return True
