"""Show the progress of a training: a bar on a terminal, an occasional line in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds between two lines of a log.
PAUSE = 10.0


@contextmanager
def progress(label: str, total: int, unit: str = "seed-iterations") -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the number of steps just done."""
    shown = _bar(label, total) if sys.stderr.isatty() else _lines(label, total, unit)
    with shown as advance:
        yield advance


@contextmanager
def silent(label: str, total: int, unit: str = "") -> Iterator[Callable[[int], None]]:
    """The same, but show nothing."""
    yield lambda done: None


@contextmanager
def _bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=total)
        yield lambda done: bars.advance(task, done)


@contextmanager
def _lines(label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    begun = last = time.monotonic()
    finished = 0
    _say(f"{label}: {total} {unit}")

    def advance(done: int) -> None:
        nonlocal finished, last
        finished += done
        now = time.monotonic()
        if now - last >= PAUSE:
            last = now
            _say(f"{label}: {100 * finished / total:.0f} % after {now - begun:.0f} s")

    yield advance
    _say(f"{label}: done after {time.monotonic() - begun:.1f} s")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
