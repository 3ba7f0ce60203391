"""The jobs of a Snakemake run, in the words of the studies; the workflow sends this to the display."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from byzcode.studies.plan import Plan

#: The name under which the display counts the jobs of the multiverse.
MULTIVERSE = "multiverse"

#: The stage of a job, by its wildcard. The name of a rule does not tell: another workflow may rename the rules.
_STAGES = {"run": "train", "allocation": "allocate", "reading": "reading", "data": "data"}


@dataclass(frozen=True)
class Task:
    """A job: its stage, its name, the studies that need it, and how much work it is."""

    stage: str
    name: str
    studies: tuple[str, ...] = ()
    label: str = ""  # the curve of a training
    kind: str = ""  # jobs of one kind take equal time per unit of work
    units: float = 1.0
    batch: str = ""  # the first job of a batch also does the work of the others

    @property
    def words(self) -> str:
        """What the job does, for one line: the study, and the method or the stage."""
        place = self.studies[0] if self.studies else ""
        name = "" if self.name == place else self.name.removeprefix(f"{place}-")
        what = self.label or f"{self.stage} {name}".rstrip()
        return f"{place}: {what}" if place else what


@dataclass(frozen=True)
class Work:
    """All jobs of a run, by Snakemake's number of each."""

    tasks: Mapping[int, Task]
    titles: Mapping[str, str] = field(default_factory=dict)
    log: str = ""
    submits: bool = False  # jobs are submitted to a queue, so we do not know when they begin

    def studies(self) -> dict[str, set[int]]:
        """The jobs of each study."""
        jobs: dict[str, set[int]] = {}
        for number, task in self.tasks.items():
            for study in task.studies:
                jobs.setdefault(study, set()).add(number)
        return jobs


@dataclass(frozen=True)
class Pages:
    """The pages that a reader opens first, by title; those that this run or an earlier one has made."""

    made: Callable[[], Mapping[str, str]]


class Again:
    """A new Snakemake is about to replace this process, so nothing has ended."""


class Needed(NamedTuple):
    """A job as Snakemake knows it: its number, its rule and its wildcards."""

    number: int
    rule: str
    wildcards: Mapping[str, str]


def work_of(plan: Plan, jobs: Iterable[Needed], batches: Mapping[str, object], *, log: str, submits: bool) -> Work:
    """Describe the jobs of a run by the plan; ``batches`` has the batch of each run that is trained with others."""
    tasks = _Tasks(plan, batches)
    titles = {name: planned.study.title for name, planned in plan.studies.items()}
    described = {job.number: tasks.of(job) for job in jobs}
    return Work(described, {**titles, MULTIVERSE: "the claims under other readings"}, log, submits)


class _Tasks:
    """Looks up the studies of runs, allocations and figures."""

    def __init__(self, plan: Plan, batches: Mapping[str, object]) -> None:
        self._plan, self._batches = plan, batches
        self._labels: dict[str, str] = {}
        self._studies: dict[str, dict[str, None]] = {}  # the studies of a run or an allocation, in order
        for name, planned in plan.studies.items():
            for member in planned.members:
                self._labels.setdefault(member.spec.run_id, member.curve.label)
                for each in (member.spec.run_id, member.spec.allocation_spec.allocation_id):
                    self._studies.setdefault(each, {})[name] = None

    def of(self, job: Needed) -> Task:
        wildcard, name = next(iter(job.wildcards.items()), ("", ""))
        stage = _STAGES.get(wildcard, job.rule)
        if wildcard == "run" and name in self._plan.runs:
            return self._training(name)
        label = stage if wildcard in ("allocation", "reading") else ""  # their names are hashes
        return Task(stage, name, self._studies_of(wildcard, name, stage), label, kind=stage)

    def _studies_of(self, wildcard: str, name: str, stage: str) -> tuple[str, ...]:
        if wildcard == "allocation":
            return tuple(self._studies.get(name, ()))
        if wildcard == "figure":
            return (self._plan.figures[name][0].study.study,)
        if wildcard == "study":
            return (name,)
        return (MULTIVERSE,) if MULTIVERSE in stage or wildcard == "reading" else ()

    def _training(self, name: str) -> Task:
        from byzcode.execution.forecast import kind_of

        spec = self._plan.runs[name]
        batch = str(self._batches.get(name, ""))
        units = float(len(spec.seeds) * spec.iterations)
        return Task("train", name, tuple(self._studies[name]), self._labels[name], kind_of(spec), units, batch)
