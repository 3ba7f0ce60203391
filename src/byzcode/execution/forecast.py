"""Forecast the CPU time and the memory of runs before they are trained, from measured rates.

The rate of a kind of run comes from stored trajectories of that kind if there are any; otherwise a few iterations are
trained now. Seconds are CPU seconds of this machine, or of the machine that made the stored trajectories.
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from byzcode.provenance.content import canonical
from byzcode.specs.run import RunSpec
from byzcode.storage.layout import STAGES
from byzcode.training.memory import peak_memory

if TYPE_CHECKING:
    from rich.table import Table

    from byzcode.studies.plan import Plan

#: Extra CPU seconds of a SLURM job, and of each training in it: Snakemake starts once for the job, and once more for
#: each step of it. No file records this, so the numbers were measured (docs/cluster.md).
JOB, STEP = 2.6, 3.9

#: The numbers of trainings per job that a plan compares.
GROUPS = (1, 5, 20, 100)
#: Cores of the single large job that a plan compares, in which Snakemake runs as on one machine.
NODE = 32

#: Iterations of the two short trainings. The rate is their difference, which excludes work done once per training.
SHORT, LONG = 10, 50
#: Their number of seeds: as many as are trained side by side at the size of the papers.
SEEDS = 4


@dataclass(frozen=True)
class Rate:
    """CPU seconds of a kind of run: per seed, and per iteration of a seed."""

    seed: float
    iteration: float
    stored: bool

    def seconds(self, spec: RunSpec) -> float:
        """CPU seconds of a training, without the start of its process."""
        return len(spec.seeds) * (self.seed + self.iteration * spec.iterations)


@dataclass(frozen=True)
class Size:
    """The CPU seconds of each run, including the start of its process, and the memory of the largest run in MiB."""

    seconds: Mapping[str, float]
    memory: float
    stored: int  # the number of runs whose rate comes from stored trajectories
    guessed: int = 0  # the number of runs whose rate is a mean of other rates

    def total(self, runs: Iterable[str]) -> float:
        """CPU seconds of some of the runs together."""
        return sum(self.seconds[run] for run in runs)

    def longest(self, runs: Iterable[str]) -> float:
        """CPU seconds of the longest of some runs."""
        return max((self.seconds[run] for run in runs), default=0.0)


def size(runs: Mapping[str, RunSpec], folder: Path, budget: float = math.inf) -> Size:
    """Forecast runs from the trajectories in a folder, and from short trainings of the kinds that have none there.

    The short trainings begin with the kinds that have the most work, and end when they have taken ``budget`` CPU
    seconds; the remaining kinds get the mean of the rates of problems of their size, or of all rates if there are none.
    """
    rates = _stored(folder, {kind_of(spec) for spec in runs.values()})
    memory = [peak for _, peak in rates.values()]
    rates_of = {kind: rate for kind, (rate, _) in rates.items()}
    left = budget
    for spec in sorted(runs.values(), key=lambda spec: len(spec.seeds) * spec.iterations, reverse=True):
        if kind_of(spec) not in rates_of and left > 0:
            begun = time.process_time()
            rates_of[kind_of(spec)] = measure(spec)
            left -= time.process_time() - begun
    if len(rates_of) > len(rates):
        memory.append(peak_memory())  # this process has just trained runs of these kinds
    others = [spec for spec in runs.values() if kind_of(spec) not in rates_of]
    rates_of |= _guesses(others, runs.values(), rates_of)
    start = start_seconds() if runs else 0.0
    return Size(
        seconds={run: start + rates_of[kind_of(spec)].seconds(spec) for run, spec in runs.items()},
        memory=max(memory, default=0.0),
        stored=sum(kind_of(spec) in rates for spec in runs.values()),
        guessed=len(others),
    )


def _guesses(others: Sequence[RunSpec], runs: Iterable[RunSpec], rates_of: Mapping[str, Rate]) -> dict[str, Rate]:
    """A rate for each kind of the other runs: the mean of those of problems of its size, else of all."""
    known = {kind_of(spec): spec for spec in runs if kind_of(spec) in rates_of}
    of_size: dict[str, list[Rate]] = {}
    for kind, spec in known.items():
        of_size.setdefault(_size_of(spec), []).append(rates_of[kind])
    means = {size: _mean(rates) for size, rates in of_size.items()}
    mean = _mean(rates_of.values())
    return {kind_of(spec): means.get(_size_of(spec), mean) for spec in others}


def _size_of(spec: RunSpec) -> str:
    return canonical([spec.dtype, spec.problem.name, spec.samples, spec.dimension])


def _mean(rates: Iterable[Rate]) -> Rate:
    known = list(rates) or [Rate(0.0, 0.0, stored=False)]
    seed, iteration = (sum(getattr(rate, name) for rate in known) / len(known) for name in ("seed", "iteration"))
    return Rate(seed, iteration, stored=False)


def kind_of(spec: RunSpec) -> str:
    """All that determines the cost of an iteration of a seed: sizes, and the names of all components."""
    components = ("problem", "allocation", "encoding", "compression", "attack", "pre_aggregation", "aggregation")
    names = [getattr(spec, component).name for component in components]
    sizes = [spec.devices, spec.redundancy, spec.subsets, spec.samples, spec.dimension, spec.f]
    return canonical([spec.method, spec.assignment, spec.dtype, *names, *sizes])


def measure(spec: RunSpec) -> Rate:
    """Measure the rate of a kind of run by two short trainings."""
    from byzcode.storage import allocations
    from byzcode.training.workers import train

    _warm()
    seconds = []
    for iterations in (SHORT, LONG):
        short = spec.model_copy(update={"seeds": spec.seeds[:SEEDS], "iterations": iterations})
        assigned = allocations.draw(short.allocation_spec)
        begun = time.process_time()
        train(short, assigned)
        seconds.append((time.process_time() - begun) / len(short.seeds))
    iteration = max(0.0, seconds[1] - seconds[0]) / (LONG - SHORT)
    return Rate(seed=max(0.0, seconds[0] - SHORT * iteration), iteration=iteration, stored=False)


@cache
def _warm() -> None:
    """Train once, because the first training of a process loads torch and the kernels, which are not part of a rate."""
    from byzcode.storage import allocations
    from byzcode.training.workers import train

    train(_smallest(), allocations.draw(_smallest().allocation_spec))


@cache
def start_seconds() -> float:
    """CPU seconds that a training's process takes besides the training, measured on the smallest run."""
    before = _of_children()
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "run.nc")
        command = [sys.executable, "-m", "byzcode.cli", "train", "--spec", _smallest().canonical(), "--out", out]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - this program
    return _of_children() - before


def _smallest() -> RunSpec:
    problem = {"name": "linear_regression", "subsets": 4, "dimension": 2}
    values = {"method": "rba_dl", "aggregation": "median", "devices": 4, "problem": problem}
    return RunSpec.parse({**values, "iterations": 1, "seeds": 1}, "the smallest run")


def _stored(folder: Path, kinds: set[str]) -> dict[str, tuple[Rate, float]]:
    """The rate and the largest memory in MiB of each kind of run that has stored trajectories."""
    from byzcode.errors import UserError
    from byzcode.storage import trajectories

    rates: dict[str, tuple[Rate, float]] = {}
    for path in sorted(folder.glob("[!.]*.nc")):
        try:
            stored = trajectories.load(path)
            seconds, peak = (float(stored.attributes[name]) for name in ("cpu_seconds", "peak_memory_mib"))
        except (KeyError, TypeError, ValueError, UserError):
            continue  # a damaged file is made again, and does not affect the forecast of other runs
        spec, kind = stored.spec, kind_of(stored.spec)
        if kind in kinds and str(stored.attributes.get("device")) == "cpu" and math.isfinite(seconds + peak):
            rate = Rate(seed=0.0, iteration=seconds / len(spec.seeds) / spec.iterations, stored=True)
            before = rates.get(kind, (rate, 0.0))
            rates[kind] = (max(before[0], rate, key=lambda each: each.iteration), max(before[1], peak))
    return rates


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Jobs:
    """SLURM jobs of ``group`` trainings each: their number, CPU hours with starts, minutes, and hours for all jobs."""

    group: int
    jobs: int
    cpu_hours: float
    mean_minutes: float
    longest_minutes: float
    hours: float


def grouped(seconds: Sequence[float], group: int, at_once: int) -> Jobs:
    """Forecast trainings of these CPU ``seconds``, ``group`` per job of one core, with ``at_once`` jobs in parallel.

    The hours assume that the work is shared out evenly, and are at least those of one job. Waiting in the queue is not
    included.
    """
    jobs = -(-len(seconds) // group)
    total = sum(seconds) + JOB * jobs + STEP * len(seconds)
    mean = total / jobs if jobs else 0.0
    longest = (max(seconds, default=0.0) + STEP) * min(group, len(seconds)) + (JOB if jobs else 0.0)
    return Jobs(
        group=group,
        jobs=jobs,
        cpu_hours=total / 3600,
        mean_minutes=mean / 60,
        longest_minutes=longest / 60,
        hours=mean * -(-jobs // at_once) / 3600 if jobs else 0.0,
    )


def report(plan: Plan, missing: Sequence[str], at_once: int) -> Iterator[Table | str]:
    """The forecast of a plan's missing runs: a table of studies, a table of jobs, and lines on rates and memory."""
    if not missing:
        yield "No run is missing."
        return
    sized = size({run: plan.runs[run] for run in missing}, Path(plan.config.results) / STAGES["train"].folder)
    yield _of_studies(plan, sized)
    yield (
        f"Rates: from stored trajectories for {sized.stored} of {len(missing)} runs, measured just now for the others. "
        "CPU hours are those of this machine."
    )
    yield f"Memory: {sized.memory:.0f} MiB at most, plus 200 MiB for SLURM and Snakemake."
    seconds = [sized.seconds[run] for run in missing]
    yield _of_jobs(seconds, at_once)
    alone = max(sum(seconds) / NODE, *seconds) / 3600
    yield (
        f"Or one job of {NODE} cores, in which `snakemake --cores {NODE}` runs as on one machine: "
        f"{sum(seconds) / 3600:.2f} CPU hours, {alone:.2f} hours."
    )


def _of_studies(plan: Plan, sized: Size) -> Table:
    rows = table("study", "runs", "CPU hours", "longest, min")
    for name, planned in plan.studies.items():
        runs = [run for run in planned.run_ids() if run in sized.seconds] if planned.trained else []
        if runs:
            rows.add_row(name, *cells(len(runs), sized.total(runs) / 3600, sized.longest(runs) / 60))
    rows.add_section()
    every = sized.seconds
    rows.add_row("each run once", *cells(len(every), sized.total(every) / 3600, sized.longest(every) / 60))
    return rows


def _of_jobs(seconds: Sequence[float], at_once: int) -> Table:
    rows = table("runs per job", "jobs", "CPU hours", "min per job", "longest, min", f"hours, {at_once} at once")
    for group in GROUPS:
        jobs = grouped(seconds, group, at_once)
        numbers = cells(jobs.jobs, jobs.cpu_hours, jobs.mean_minutes, jobs.longest_minutes, jobs.hours)
        rows.add_row(str(group), *numbers)
    return rows


def table(*columns: str) -> Table:
    """An empty table; its first column is text, the others are numbers."""
    from rich import box
    from rich.table import Table

    rows = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        rows.add_column(column, justify="left" if column == "study" else "right")
    return rows


def cells(*values: float) -> list[str]:
    """Numbers as a table shows them."""
    return [str(value) if isinstance(value, int) else f"{value:.2f}" for value in values]
