"""Locks on runs, so that one process at a time trains a run."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from byzcode.errors import UserError
from byzcode.execution.system_locks import NoLocksError, locked

#: Names in a folder of results: the lock of its Snakemake, and the locks of runs that are trained alone.
RESULTS_LOCK, RUN_LOCKS = ".byzcode.lock", ".byzcode.runs"


class RunLocks:
    """The runs that this process trains: one locked byte of a file per run.

    ``without`` is true if the file system has no locks; then every process that tries to lock a run succeeds.
    """

    _CHOICE = 0  # locked by the process that is choosing runs

    def __init__(self, path: Path) -> None:
        """Open the file. Raises UserError if it cannot be written."""
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
        """Try to lock a run; with ``wait``, block until it is locked. Locking it twice does no harm."""
        return self._lock(self._byte(run), fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def leave(self, run: str) -> None:
        """Unlock a run."""
        self._lock(self._byte(run), fcntl.LOCK_UN)

    @contextmanager
    def choosing(self) -> Iterator[None]:
        """Let one process at a time choose runs; two that start together would divide a batch at random."""
        self._lock(self._CHOICE, fcntl.LOCK_EX)
        try:
            yield
        finally:
            self._lock(self._CHOICE, fcntl.LOCK_UN)

    def _byte(self, run: str) -> int:
        return 1 + int(run, 16)  # depends on the run alone; a byte beyond the end of a file can be locked

    def _lock(self, byte: int, how: int) -> bool:
        try:
            return locked(partial(fcntl.lockf, self._file, how, 1, byte), self._file.name)
        except NoLocksError:
            self.without = True
            return True
