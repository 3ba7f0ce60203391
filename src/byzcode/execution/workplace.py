"""Reserve a project and its results for one Snakemake, and wait for the jobs of an earlier one.

A job outlives a Snakemake that is killed alone. Therefore each job inherits an open file in the folder of results from
the Snakemake that starts it. The system closes the file when the job ends, and the next Snakemake waits for that.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, TextIO

import psutil

from byzcode.errors import UserError
from byzcode.execution import processes
from byzcode.execution.lock import FolderLock
from byzcode.execution.processes import Process
from byzcode.execution.run_locks import RESULTS_LOCK
from byzcode.execution.system_locks import NoLocksError, locked
from byzcode.fetch import need_files
from byzcode.storage.layout import STAGES
from byzcode.storage.regular import reason

#: The file in a folder of results that all its jobs have open.
JOBS = ".byzcode.jobs"

#: The folders, within the results, in which the workflow writes.
FOLDERS = tuple(
    dict.fromkeys(
        [
            *(".", "batches", *(stage.folder or "." for stage in STAGES.values())),
            *(str(STAGES["data"].folder_of(name)) for name in need_files()),
        ]
    )
)

#: Seconds between two checks of jobs to wait for, and between two lines about them.
PAUSE, REMINDER = 0.5, 600.0

#: Seconds after which a half-written file without a writer is removed, and a trajectory that waits for its job.
_LITTER, _UNFETCHED = 3600.0, 86400.0

_PART = re.compile(r"\.(?P<host>.+)\.(?P<process>[0-9]+)\.part\..+")

Say = Callable[[str], None]
Inherited = Callable[[Sequence[int]], None]

_sleep = time.sleep


class _Jobs:
    """The file that jobs have open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._opened()

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()

    def wait(self, say: Say) -> None:
        """Wait until no other process has the file open."""
        reported = -REMINDER
        while not self._free():
            if time.monotonic() - reported >= REMINDER:
                reported = time.monotonic()
                say(_message(self._path, processes.with_open(self._path)))
            _sleep(PAUSE)
            if os.fstat(self.fileno()).st_nlink == 0:  # the user has removed it, as the line suggests
                self._file.close()
                self._file = self._opened()
        with suppress(OSError):  # without locks, it is enough that the file is open
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def _free(self) -> bool:
        try:
            return locked(partial(fcntl.flock, self._file, fcntl.LOCK_EX | fcntl.LOCK_NB), self._path)
        except NoLocksError:
            return not processes.with_open(self._path)

    def _opened(self) -> TextIO:
        try:
            return self._path.open("a+", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{self._path}: cannot be opened: {reason(error)}") from None


class Workplace:
    """A project folder and its results, reserved for this process.

    A Snakemake may use this workflow as several modules; all modules of a process share their locks.
    """

    _locks: ClassVar[dict[Path, FolderLock]] = {}
    _jobs: ClassVar[dict[Path, _Jobs]] = {}

    def __init__(self, project: Path, results: Path, say: Say, inherited: Inherited) -> None:
        """Lock both. Raises UserError if another Snakemake has one of them, or if they cannot be written.

        ``inherited`` sets the open files that all jobs started from then on inherit.
        """
        self._results, self._say, self._inherited = results, say, inherited
        try:
            self._hold(project, "in this folder")
            try_folder(results)
            self._places = _places(results)
            for folder in self._places:
                self._hold(folder / RESULTS_LOCK, f"with the results in {folder}")
        except UserError:
            self.release()
            raise

    def _hold(self, path: Path, place: str) -> None:
        if path.resolve() in self._locks:
            return
        lock = self._locks[path.resolve()] = FolderLock(path, place)
        if lock.without and [other for other in self._locks.values() if other.without] == [lock]:  # say it once
            self._say(
                f"{path}: this file system has no locks ({lock.without}); notes replace them: a Snakemake that "
                "dies on another machine counts as at work for ten minutes, and another user's jobs are not seen"
            )

    def wait_for_jobs(self) -> None:
        """Wait until all jobs of an earlier Snakemake have ended; from now on, jobs of this one inherit the open file.

        Raises UserError if the user stops it by Ctrl-C or SIGTERM.
        """
        with _stoppable():
            for path in (folder / JOBS for folder in self._places):
                if path.resolve() not in self._jobs:
                    opened = _Jobs(path)
                    opened.wait(self._say)
                    self._jobs[path.resolve()] = opened
        self._inherited([opened.fileno() for opened in self._jobs.values()])
        _sweep(self._results)

    def release(self) -> None:
        """Release the folders, so that another Snakemake may use them."""
        while self._jobs:
            self._jobs.popitem()[1].close()
        self._inherited([])
        while self._locks:
            self._locks.popitem()[1].release()


def check_folders(results: Path) -> None:
    """Raise UserError if a file, or a link that leads to no folder, has the path of a folder of the results."""
    for path in (*reversed(results.parents), *(results / name for name in (*FOLDERS, "logs"))):
        if os.path.lexists(path) and not path.is_dir():
            kind = "a link that leads to no folder" if path.is_symlink() else "a file"
            raise UserError(f"{path}: {kind}, where a folder is expected")


def try_folder(results: Path) -> None:
    """Raise UserError if a folder cannot be written or the disk is full; called before anything runs."""
    trial = results / ".trial"
    try:
        results.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(bytes(1 << 20))
    except OSError as error:
        raise UserError(f"{results}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            trial.unlink()


def _places(results: Path) -> list[Path]:
    """The folders to lock: the results, and those of their folders that are links to another place."""
    linked = [results / name for name in FOLDERS if (results / name).is_symlink() and (results / name).is_dir()]
    return list(dict.fromkeys([results, *linked]))


def _message(path: Path, at_work: Sequence[Process]) -> str:
    """A line that names the jobs that are waited for, and says how to end them."""
    waits = "waiting for jobs of an earlier Snakemake that still run, because their results count"
    if not at_work:
        return f"{waits}: they are of another user or on another machine; if there are none, delete {path}"
    known = [(process, name) for process in at_work if (name := _name(process.words))]
    jobs = known or [(process, "a job") for process in at_work]
    named = [f"{name} (process {process.number}{', stopped' if process.stopped else ''})" for process, name in jobs]
    ends = " ".join(str(process.number) for process, _ in jobs)
    return f"{waits}: {', '.join(named)}; kill -9 {ends} ends them"


def _name(words: Sequence[str]) -> str:
    """The byzcode command of a process and its output, such as ``train 0123456789ab``; empty for other programs."""
    place = next((place for place, word in enumerate(words) if Path(word).name == "byzcode"), len(words))
    command, options = words[place + 1 : place + 2], words[place + 2 :]
    made = [Path(value).stem for option, value in pairwise(options) if option == "--out"]
    return " ".join([*command, *made])


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the block. Snakemake defers SIGTERM until its jobs have ended, but has none yet."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if main else None
    try:
        yield
    except KeyboardInterrupt:
        raise UserError("stopped while waiting for jobs of an earlier Snakemake; these continue") from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


def _sweep(results: Path) -> None:
    """Remove files that a kill has left half written, and trajectories that no job has fetched for a day."""
    folders = [results / name for name in FOLDERS]
    for litter in (path for folder in folders for path in folder.glob(".*.part.*")):
        if _older(litter, _LITTER) and not _written(litter):
            litter.unlink(missing_ok=True)
    for litter in results.glob("batches/[!.]*"):
        if _older(litter, _UNFETCHED):
            litter.unlink(missing_ok=True)


def _older(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime > seconds
    except FileNotFoundError:
        return False


def _written(path: Path) -> bool:
    """Whether the process that writes a half-written file may still run; known only for processes of this machine."""
    match = _PART.fullmatch(path.name)
    return match is not None and match["host"] == platform.node() and psutil.pid_exists(int(match["process"]))
