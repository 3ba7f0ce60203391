"""Processes of this machine: whether a process still runs, and which processes have a file open."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

#: Seconds by which the clock may have been adjusted since a process began.
_SLACK = 5.0


@dataclass(frozen=True)
class Process:
    """A process: its number, its command line, and whether it is stopped (SIGSTOP)."""

    number: int
    words: tuple[str, ...]
    stopped: bool = False


def runs(number: int, since: datetime) -> bool:
    """Whether a process that ran at a time still runs; a later process may have received its number."""
    try:
        process = psutil.Process(number)
        begun: float = process.create_time()
        return process.status() != psutil.STATUS_ZOMBIE and begun <= since.timestamp() + _SLACK
    except psutil.AccessDenied:
        return True
    except (psutil.Error, ValueError, OverflowError):
        return False


def with_open(path: Path) -> list[Process]:
    """The other processes of this machine that have a file open, as far as this user may see them."""
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            opened = [file.path for file in process.open_files() if Path(file.path).name == path.name]
            if any(_same(file, path) for file in opened):
                stopped = process.status() == psutil.STATUS_STOPPED
                processes.append(Process(process.pid, tuple(process.cmdline()), stopped))
    return sorted(processes, key=lambda process: process.number)


def _same(name: str, other: Path) -> bool:
    try:
        return other.samefile(name)
    except OSError:
        return False
