"""What Snakemake's events say about a run: which jobs are done, at work or failed, and how long the rest takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from byzcode.execution.display.work import Task, Work


@dataclass(frozen=True)
class Failed:
    """A failed job, and the file that contains its messages."""

    task: Task
    log: str


@dataclass
class State:
    """The jobs of a run. Times are seconds of any one clock."""

    work: Work = field(default_factory=lambda: Work({}))
    total: int = 0
    done: int = 0
    failed: dict[int, Failed] = field(default_factory=dict)
    running: dict[int, tuple[Task, float]] = field(default_factory=dict)  # since when
    _begun: float | None = None
    _waiting: dict[int, Task] = field(default_factory=dict)
    _missing: dict[str, set[int]] = field(default_factory=dict)  # the unfinished jobs of each study
    _rates: Rates = field(default_factory=lambda: Rates())

    def begin(self, work: Work) -> None:
        """Take the jobs that will run."""
        self.work, self._missing = work, work.studies()
        for number, task in work.tasks.items():
            self._wait(number, task)

    @property
    def studies(self) -> int:
        """The number of studies that have jobs."""
        return len(self._missing)

    @property
    def unfinished(self) -> list[str]:
        """The studies that are not finished."""
        return [name for name, jobs in self._missing.items() if jobs]

    def started(self, number: int, task: Task, now: float) -> None:
        """A job has started, perhaps again after it failed."""
        self._begun = now if self._begun is None else self._begun
        self.failed.pop(number, None)
        self.running[number] = (self._with_batch(self._begins(number) or self.work.tasks.get(number, task)), now)

    def finished(self, number: int, now: float) -> list[str]:
        """A job has ended well. Returns the studies that are finished by it."""
        if number in self.running:
            task, since = self.running.pop(number)
            self._rates.add(task, now - since)
        ended = [name for name, jobs in self._missing.items() if jobs == {number}]
        for jobs in self._missing.values():
            jobs.discard(number)
        return ended

    def fail(self, number: int, task: Task, log: str) -> None:
        """A job has failed."""
        known, _ = self.running.pop(number, (task, 0.0))
        self.failed[number] = Failed(known, log)

    def left(self, now: float) -> float | None:
        """Seconds until all jobs are done, by the times of the jobs that are done; None if there are none."""
        if self._begun is None or not self._rates.known:
            return None
        at_work = [max(0.0, self._rates.seconds(task) - (now - since)) for task, since in self.running.values()]
        spent = self._rates.spent + sum(now - since for _, since in self.running.values())
        at_once = max(1.0, spent / max(now - self._begun, 1e-9))
        return max([(sum(at_work) + self._rates.waiting()) / at_once, *at_work])

    def _wait(self, number: int, task: Task) -> None:
        self._waiting[number] = task
        self._rates.wait(task)

    def _begins(self, number: int) -> Task | None:
        task = self._waiting.pop(number, None)
        if task:
            self._rates.wait(task, -1)
        return task

    def _with_batch(self, task: Task) -> Task:
        """The job with all the work that it does: the first job of a batch trains the others, too."""
        if not task.batch:
            return task
        others = {number: other for number, other in self._waiting.items() if other.batch == task.batch}
        for number, other in others.items():
            self._begins(number)
            self._wait(number, replace(other, units=0.0))
        return replace(task, units=task.units + sum(other.units for other in others.values()))


@dataclass
class Rates:
    """The times of jobs that are done, and by them those of jobs to do."""

    _seconds: Counter[str] = field(default_factory=Counter)  # by kind, by stage, and ("") of all jobs
    _units: Counter[str] = field(default_factory=Counter)
    _waiting: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)  # units and jobs

    @property
    def known(self) -> bool:
        """Whether any job is done."""
        return self._units[""] > 0

    @property
    def spent(self) -> float:
        """The seconds of all jobs that are done."""
        return float(self._seconds[""])

    def add(self, task: Task, seconds: float) -> None:
        """Learn from a job that is done."""
        for name, units in {task.kind: task.units, task.stage: task.units, "": 1.0}.items():
            self._seconds[name] += seconds  # type: ignore[assignment]
            self._units[name] += units  # type: ignore[assignment]

    def wait(self, task: Task, jobs: int = 1) -> None:
        """Add a job to those that wait, or (``jobs`` = -1) remove it."""
        units, before = self._waiting.get((task.kind, task.stage), (0.0, 0))
        self._waiting[task.kind, task.stage] = (units + jobs * task.units, before + jobs)

    def seconds(self, task: Task) -> float:
        """The forecast of a job."""
        return self._forecast(task.kind, task.stage, task.units, 1)

    def waiting(self) -> float:
        """The forecast of all jobs that wait, one after another."""
        return sum(self._forecast(*names, *work) for names, work in self._waiting.items())

    def _forecast(self, kind: str, stage: str, units: float, jobs: int) -> float:
        """By jobs of the same kind if some are done, else by those of the stage, else by all."""
        for name, amount in ((kind, units), (stage, units), ("", jobs)):
            if name in self._units and self._units[name] > 0:
                return amount * self._seconds[name] / self._units[name]
        return 0.0
