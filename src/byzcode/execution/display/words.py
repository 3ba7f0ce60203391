"""The state of a run in words: one line while it lasts, and the last lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from byzcode.errors import printable, short
from byzcode.execution.display.state import Failed, State

#: The largest number of failed jobs that the last lines name.
MOST = 5

#: The bytes at the end of a log that are read for its last message.
_TAIL = 1 << 14


def status(state: State, now: float) -> str:
    """The jobs done of all, the time left, the failed jobs and what is at work, the most important first."""
    left = state.left(now)
    parts = [f"{state.done}/{state.total} jobs"]
    parts += [f"{duration(left)} left"] if left is not None and state.done < state.total else []
    parts += [f"{len(state.failed)} failed"] if state.failed else []
    at_work = Counter(task.words for task, _ in state.running.values())
    parts += ["in the queue or at work: " * state.work.submits + "; ".join(_times(*each) for each in at_work.items())]
    return " | ".join(filter(None, parts))


def _times(words: str, count: int) -> str:
    return f"{words} x {count}" if count > 1 else words


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def study_done(state: State, name: str) -> str:
    """The line of a finished study."""
    stages = Counter(task.stage for task in state.work.tasks.values() if name in task.studies)
    kinds = {"train": "training", "figure": "figure"}
    made = [counted(stages[stage], word) for stage, word in kinds.items() if stages[stage]]
    title = state.work.titles.get(name, "")
    of = f"{state.studies - len(state.unfinished)} of {state.studies} studies"
    return f"done: {name}" + f" - {title}" * bool(title) + f" ({', '.join([*made, of])})"


def counted(number: int, word: str) -> str:
    """A number of things, one or more."""
    return f"{number} {word}" + "s" * (number != 1)


def last_lines(state: State, seconds: float, *, interrupted: bool) -> Iterator[str]:
    """What has been done and what has failed; the message of the last failed job comes last."""
    log = f"; log: {state.work.log}" if state.work.log else ""
    if state.done == state.total and not state.failed:
        yield f"{counted(state.done, 'job')} done in {duration(seconds)}{log}"
        return
    counts = [f"{state.done} of {counted(state.total, 'job')} done", f"{len(state.failed)} failed"]
    why = "interrupted: " if interrupted else ""
    yield f"{why}{', '.join(counts[: 1 + bool(state.failed)])}; the same command continues{log}"
    if state.unfinished:
        yield short(f"not finished: {', '.join(state.unfinished)}", 400)
    failed = list(state.failed.values())
    if len(failed) > MOST:
        yield f"{counted(len(failed) - MOST, 'more job')} failed: see the log"
    for each in failed[-MOST:]:
        yield failure(each)


def failure(failed: Failed) -> str:
    """A failed job with the path of its log, and on the next line its own message."""
    place = f" ({failed.log})" if failed.log else ""
    return f"failed: {failed.task.words}{place}:\n  {_message(failed)}"


def _message(failed: Failed) -> str:
    """The last line of a job's log, which holds the message of a user's mistake or of an exception."""
    try:
        with Path(failed.log).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "it has no log"
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    of_progress = f"{failed.task.stage} {failed.task.name}"
    if not lines or lines[-1].startswith(of_progress):
        return "it ended without a message: it was killed, or memory or the disk ran out"
    return printable(short(lines[-1], 2000))
