"""Show a Snakemake run by the records that Snakemake logs.

The records are those of version 9: ``record.event`` names the event, other attributes are its fields. Our own records
carry ``record.byzcode``: a :class:`Work`, :class:`Pages`, or True for a line that the user should read.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from byzcode.execution.display import words
from byzcode.execution.display.state import State
from byzcode.execution.display.terminal import Terminal
from byzcode.execution.display.work import Again, Pages, Task, Work

#: Seconds between two drawings of the line that changes, and between two plain lines where there is no terminal.
TICK, PAUSE = 0.5, 60.0

#: Mistakes of the user that were raised in this process; Snakemake then prints each within a report of its own.
mistakes: list[str] = []

#: What Snakemake says beside the failure of a job, which we report ourselves.
_BESIDE = ("Exiting because a job execution failed", "WorkflowError:\nAt least one job did not complete")
_INTERRUPTED = ("Terminating processes on user request", "Cancelling snakemake on user request")
_UNKNOWN = re.compile(r"^MissingRuleException.*:\nNo rule to produce (\S+)")
_NOTHING = "Nothing to be done"

Record = logging.LogRecord


class Display:
    """Shows a run on a terminal.

    ``theirs`` shows a record as Snakemake would: all records if ``as_theirs``, except a user's mistake, and otherwise
    those of a Snakemake that runs no jobs, as for a report.
    """

    def __init__(
        self,
        terminal: Terminal,
        theirs: Callable[[Record], object],
        *,
        quiet: bool = False,
        as_theirs: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal, self._theirs, self._clock = terminal, theirs, clock
        self._quiet, self._as_theirs = quiet, as_theirs
        self.state = State()
        self._begun = self._said = clock()
        self._before: list[Record] = []  # what came before it was known whether jobs will run
        self._runs: bool | None = None
        self._interrupted = self._mistaken = self._broken = self._nothing = False
        self._pages: Pages | None = None
        self._lock = threading.RLock()
        self._end = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="byzcode display", daemon=True)

    def take(self, record: Record) -> None:
        """Show a record."""
        with self._lock:
            own = getattr(record, "byzcode", None)
            if self._is_mistake(record):
                return
            if self._runs is None and own is None and record.levelno < logging.WARNING:
                self._decide(record)
            elif self._as_theirs or self._runs is False:
                self._theirs(record)
            elif own is not None:
                self._take_own(own, record)
            elif record.levelno >= logging.ERROR and _event(record) != "job_error":
                self._error(record)
            else:
                self._take_event(record)

    def close(self) -> None:
        """Say how the run ended. Python closes all handlers once more when it exits; that does nothing."""
        if self._end.is_set():
            return
        self._end.set()
        if self._ticker.is_alive():
            self._ticker.join()
        with self._lock:
            self._terminal.clear()
            if self._mistaken and not self.state.failed:
                return
            if not self._runs:
                for record in () if self._broken else self._before:
                    self._theirs(record)
            elif self.state.total or self._interrupted:
                self._summary()
            if self._nothing or (self.state.total and self.state.done == self.state.total):
                self._name_pages()

    # --- records -----------------------------------------------------------------------------------------------------

    def _take_own(self, own: object, record: Record) -> None:
        if isinstance(own, Work):
            self.state.begin(own)
            if own.log and not self._quiet:
                self._say(f"{words.counted(len(own.tasks), 'job')}; log: {own.log}")
        elif isinstance(own, Pages):
            self._pages = own
        elif isinstance(own, Again):
            self.state = State()
        else:
            self._say(record.getMessage())

    def _is_mistake(self, record: Record) -> bool:
        """Whether a record reports a user's mistake; then show its one line, once."""
        text = str(record.msg or "")
        mistake = next((line for line in mistakes if line in text), None) if record.levelno >= logging.ERROR else None
        if mistake and not self._mistaken:
            self._terminal.say(mistake, "red")
        self._mistaken = self._mistaken or mistake is not None
        return mistake is not None

    def _error(self, record: Record) -> None:
        text = str(record.msg or "")
        if text.startswith(_INTERRUPTED):
            self._interrupted = True
        elif "CalledProcessError" not in text and not (text.startswith(_BESIDE) and self._ended_badly):
            self._broken = True
            unknown = _UNKNOWN.search(text)
            line = f"{unknown[1]}: no rule makes this; `byzcode plan` lists the studies" if unknown else text
            self._say(line, "red")

    def _decide(self, record: Record) -> None:
        """Jobs run if Snakemake says that the workflow starts before it makes the graph of jobs."""
        starts = _event(record) == "workflow_started"
        self._before.append(record)
        if starts or str(record.msg).startswith("Building DAG"):
            self._runs = starts and not self._as_theirs
            for earlier in () if self._runs else self._before:
                self._theirs(earlier)
            self._before.clear()

    def _take_event(self, record: Record) -> None:
        known = {
            "run_info": self._run_info,
            "job_info": self._job_info,
            "job_finished": self._job_finished,
            "job_error": self._job_error,
            "progress": self._progress,
        }
        event = _event(record)
        if event in known:
            known[event](record)
        elif not event:
            self._words(record)

    def _run_info(self, record: Any) -> None:
        self.state.total = int(record.stats.get("total", 0))

    def _job_info(self, record: Any) -> None:
        self.state.started(record.jobid, _task(record), self._clock())
        if not self._ticker.is_alive() and not self._end.is_set():
            self._ticker.start()

    def _job_finished(self, record: Any) -> None:
        for study in self.state.finished(record.job_id, self._clock()):
            if not self._quiet:
                self._say(words.study_done(self.state, study), "green")

    def _job_error(self, record: Any) -> None:
        if self._interrupted:  # Ctrl-C has ended the job
            return
        self.state.fail(record.jobid, _task(record), next(iter(record.log), ""))
        self._say(words.failure(self.state.failed[record.jobid]), "red")

    def _progress(self, record: Any) -> None:
        self.state.done, self.state.total = int(record.done), int(record.total)

    def _words(self, record: Record) -> None:
        text = str(record.msg or "")
        self._interrupted = self._interrupted or text.startswith(_INTERRUPTED)
        self._nothing = self._nothing or text.startswith(_NOTHING)
        if text.startswith(_NOTHING) or record.levelno >= logging.WARNING:
            self._say(text)

    # --- lines -------------------------------------------------------------------------------------------------------

    def _say(self, text: str, colour: str = "") -> None:
        if text:
            self._terminal.say(text, colour)
            self._said = self._clock()

    @property
    def _ended_badly(self) -> bool:
        return bool(self.state.failed) or self._interrupted or self._broken

    def _summary(self) -> None:
        if self._quiet and not self._ended_badly:
            return
        for line in words.last_lines(self.state, self._clock() - self._begun, interrupted=self._interrupted):
            self._terminal.say(line, "red" if line.startswith("failed: ") else "")

    def _name_pages(self) -> None:
        for title, path in self._pages.made().items() if self._pages else ():
            self._terminal.say(f"{title}: {path}")

    def _tick(self) -> None:
        while not self._end.wait(TICK):
            with self._lock:
                self.tick()

    def tick(self) -> None:
        """Draw the line that changes, or from time to time a plain line."""
        if self._quiet:
            return
        line = words.status(self.state, self._clock())
        if self._terminal.live:
            self._terminal.show(line)
        elif self._clock() - self._said >= PAUSE:
            self._say(line)


def _event(record: Record) -> str:
    """The name of an event, an enumeration of Snakemake; empty for a record of none."""
    event = getattr(record, "event", "")
    return str(getattr(event, "name", event)).lower()


def _task(record: Any) -> Task:
    """A job of which only Snakemake's record is known."""
    wildcards = getattr(record, "wildcards", None) or {}
    return Task(record.rule_name, " ".join(map(str, wildcards.values())), kind=record.rule_name)
