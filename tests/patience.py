"""Waiting for what other processes do. On a busy machine it takes longer, and does not fail.

There is no limit in seconds. What is counted is how often the processes had nothing to do: where no thread of them
runs, waits for a processor or waits for a disk, and that again and again, what is awaited will not come.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any, TypeVar

T = TypeVar("T")

PROC = Path("/proc")

#: Seconds between two looks.
PAUSE = 0.1

#: How many looks may find the processes idle, all together. No process of the tests sleeps half as long.
LOOKS = 600


class Patience:
    """The patience with some processes and all that they have started; it is spent only while they are idle.

    Where no process is named, it is all those of the machine.
    """

    def __init__(self, otherwise: str, *roots: int, looks: int = LOOKS) -> None:
        self._otherwise, self._roots, self._looks = otherwise, roots, looks

    def look(self, *, for_the_end: bool = False) -> None:
        """Look once. Fails if the processes have too often had nothing to do, or have ended and that is not awaited."""
        if not PROC.is_dir():  # no system that tells: the time limit of pytest remains
            return
        alive = family(*self._roots)
        assert alive or for_the_end, f"{self._otherwise}: all processes have ended"
        self._looks -= bool(alive) and not any(map(at_work, alive))
        assert self._looks > 0, f"{self._otherwise}: the processes have nothing to do"


def wait_for(condition: Callable[[], T], otherwise: str, *roots: int, looks: int = LOOKS) -> T:
    """What a condition gives as soon as it is true. Fails, with ``otherwise``, where the processes do not make it so.

    Without ``roots`` they are all processes of the machine.
    """
    patience = Patience(otherwise, *roots, looks=looks)
    while not (value := condition()):
        time.sleep(PAUSE)
        try:
            patience.look()
        except AssertionError:
            if value := condition():  # the last thing that they did
                return value
            raise
    return value


def wait_for_end(process: Popen[Any]) -> int:
    """The exit status of a process, which must end by itself."""
    patience = Patience(f"{process.args}: does not end", process.pid)
    while process.poll() is None:
        time.sleep(PAUSE)
        patience.look(for_the_end=True)
    return process.wait()


def family(*roots: int) -> set[int]:
    """Those of some processes, and of all that they have started, that have not ended; all others, if none is named."""
    parents = dict(_parents())
    if not roots:
        return set(parents) - {os.getpid()}
    tree = {root for root in roots if root in parents}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return tree


def at_work(pid: int) -> bool:
    """Whether a thread of a process runs, waits for a processor, or waits for a disk."""
    return any(state in "RD" for state, _ in map(_stat, PROC.glob(f"{pid}/task/*/stat")))


def asleep(pid: int, looks: int = 20) -> bool:
    """Whether a process has nothing to do for some looks in a row: it waits for another."""
    for _ in range(looks):
        if at_work(pid):
            return False
        time.sleep(PAUSE)
    return bool(family(pid))


def _parents() -> Iterator[tuple[int, int]]:
    for path in PROC.glob("[0-9]*/stat"):
        state, parent = _stat(path)
        if state not in "ZX":
            yield int(path.parent.name), parent


def _stat(path: Path) -> tuple[str, int]:
    """The state of a process or thread, and its parent; that of one that has ended if it is not there."""
    with suppress(OSError):
        state, parent, *_ = path.read_text(errors="replace").rpartition(")")[2].split()
        return state, int(parent)
    return "X", 0
