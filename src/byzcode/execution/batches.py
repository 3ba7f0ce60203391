"""Train the run of a job, alone or in a batch with other runs of the same shape, each of which is a job of its own.

Only many runs together fill a GPU, but the workflow has one job per run, so that only what changed runs again.
Therefore the first job of a batch also trains runs whose jobs come later, and leaves their trajectories waiting in a
folder; a later job moves its own trajectory from there into place, without importing torch.

A file lists the runs of a batch::

    {"folder": "results/batches", "runs": {"<run id>": {"spec": {...}, "allocation": "a.nc", "out": "b.nc"}, ...}}

The list only proposes. A run joins the batch if it has the same shape, no other process trains it, its file is not
newer than the list, and no usable trajectory waits for it. A waiting trajectory is used if it is complete and has the
same spec, allocation, code, libraries and device; otherwise it is deleted. The process that trains a run locks it
(:mod:`byzcode.execution.run_locks`): a job whose run is locked waits, and then takes the result.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzcode.errors import UserError
from byzcode.execution import cuda
from byzcode.execution.progress import progress
from byzcode.execution.run_locks import RESULTS_LOCK, RUN_LOCKS, RunLocks
from byzcode.kernels import native
from byzcode.randomness import BLOCK
from byzcode.specs.parsing import parse
from byzcode.specs.plain_json import read_json
from byzcode.specs.quantities import COUNTS, quantities_of
from byzcode.specs.run import RunSpec
from byzcode.specs.strict import Strict
from byzcode.storage import allocations, trajectories
from byzcode.storage.apart import apart
from byzcode.storage.atomic import replacing, text, writable
from byzcode.studies.files import read_text
from byzcode.studies.names import Filename
from byzcode.studies.requests import Id
from byzcode.training.batch import shape_of
from byzcode.training.records import Measurements
from byzcode.training.workers import train as train_one
from byzcode.training.workers import train_together

#: What shows the progress of some work, given its label and the number of its steps, as :func:`progress` does.
Shown = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

#: The part of the free memory that a batch may take, by our estimate.
FILLED = 0.5


#: The largest size of a list; a list of 100,000 runs has about 100 million bytes.
_MOST_BYTES = 2**28


class _Listed(Strict):
    """A run in a list."""

    spec: dict[str, Any]
    allocation: Filename
    out: Filename


class _List(Strict):
    """The file of a list."""

    folder: Filename
    runs: dict[Id, _Listed]


@dataclass(frozen=True, eq=False)
class Run:
    """A run to train, and the subsets that its devices hold, (R, N, S)."""

    spec: RunSpec
    assigned: NDArray[np.int32]


def write_list(path: Path, folder: str, runs: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a list, in the form above; waiting trajectories will lie in ``folder``."""
    with text(path) as written:
        json.dump({"folder": folder, "runs": runs}, written)


def train(spec: RunSpec, allocation: Path | None, out: Path, *, together: Path, device: str) -> None:
    """Store the trajectory of a run at ``out``: take it if it waits, else train it in a batch of runs of the list."""
    _say_if_slow(device)
    folder, listed = _read(together)
    apart([out], (Path(each.allocation) for each in listed.values()))
    own = Run(spec, _held(spec, allocation))
    writable(_waiting(folder, own))  # a trajectory that waits there is used or replaced, and so are the others
    waited = False
    with RunLocks(folder / ".lock") as locks:
        while True:
            with locks.choosing():
                if locks.take(spec.run_id):
                    if (waited and stored_meanwhile(own, out, device)) or _fetched(own, folder, out, device):
                        return
                    chosen = [own, *_others(own, folder, listed, together.stat().st_mtime, locks, device)]
                    break
            waited = locks.take(spec.run_id, wait=True)  # until the process that trains it has ended
        with cuda.reserved() if device == "cuda" else nullcontext(device) as target:
            fitting = fit(chosen, FILLED * (cuda.room() if device == "cuda" else _memory()))
            for run in chosen[len(fitting) :]:
                locks.leave(run.spec.run_id)  # its own job will train it
            _train(fitting, folder, out, device, target, locks)


def alone(
    spec: RunSpec, allocation: Path | None, out: Path, *, device: str, threads: int, shown: Shown = progress
) -> None:
    """Train a run by itself, and store its trajectory at ``out``. ``shown`` shows the progress.

    In the results of the workflow, one process at a time trains a run. Another process waits for it, and uses the
    stored trajectory if a training would store the same now.
    """
    _say_if_slow(device)
    own, name = Run(spec, _held(spec, allocation)), spec.run_id
    results = out.parent.parent
    shared = out.name == f"{name}.nc" and (results / RESULTS_LOCK).exists()
    with RunLocks(results / RUN_LOCKS) if shared else nullcontext() as locks:
        if locks and not locks.take(name):
            print(f"{out}: another process trains this run: waiting", file=sys.stderr, flush=True)
            locks.take(name, wait=True)
            if stored_meanwhile(own, out, device):
                return
        with cuda.reserved() if device == "cuda" else nullcontext(device) as target:
            wall, cpu = time.perf_counter(), time.process_time()
            with shown(f"train {name}", len(spec.seeds) * (spec.iterations + 1)) as advance:
                measured = train_one(spec, own.assigned, device=target, threads=threads, progress=advance)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        trajectories.write(
            out, spec, measured, own.assigned, device=device, threads=threads, wall_seconds=wall, cpu_seconds=cpu
        )


def _say_if_slow(device: str) -> None:
    """Say why compiled kernels that exist are not used."""
    if device == "cpu" and (why := native.unused()):
        print(why, file=sys.stderr, flush=True)


def _train(batch: Sequence[Run], folder: Path, out: Path, device: str, target: str, locks: RunLocks) -> None:
    """Train a batch; store the first run at ``out``, and the others where they wait for their jobs."""
    while True:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            measured = _measured(batch, target)
            break
        except RuntimeError as error:  # no memory, or a run that fails: only its own job should fail
            if len(batch) == 1:
                raise
            reason = str(error).partition("\n")[0]
            print(f"a batch of {len(batch)} runs failed, trying half as many: {reason}", file=sys.stderr, flush=True)
        half = len(batch) // 2
        for run in batch[half:]:
            locks.leave(run.spec.run_id)
        batch = batch[:half]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    seeds = sum(len(run.spec.seeds) for run in batch)
    for place, (run, measurements) in enumerate(zip(batch, measured, strict=True)):
        share = len(run.spec.seeds) / seeds
        trajectories.write(
            _waiting(folder, run) if place else out,
            run.spec,
            measurements,
            run.assigned,
            device=device,
            threads=1,
            wall_seconds=wall * share,
            cpu_seconds=cpu * share,
            batch_runs=len(batch),
        )


def _measured(batch: Sequence[Run], device: str) -> list[Measurements]:
    specs = [run.spec for run in batch]
    steps = sum(len(spec.seeds) * (spec.iterations + 1) for spec in specs)
    beside = f" and {len(specs) - 1} others" if len(specs) > 1 else ""
    with progress(f"train {specs[0].run_id}{beside}", steps) as advance:
        return train_together(specs, [run.assigned for run in batch], device=device, progress=advance)


def stored_meanwhile(own: Run, out: Path, device: str) -> bool:
    """Whether another process, which this one waited for, has stored what a training would store now."""
    if not trajectories.agrees(out, own.spec, own.assigned, device):
        return False
    os.utime(out)  # Snakemake requires it to be newer than its allocation
    print(f"{out}: trained by another process meanwhile", file=sys.stderr)
    return True


def _fetched(own: Run, folder: Path, out: Path, device: str) -> bool:
    """Move a waiting trajectory into place, and return whether a usable one was there."""
    waiting = _waiting(folder, own)
    if not trajectories.agrees(waiting, own.spec, own.assigned, device):
        waiting.unlink(missing_ok=True)
        return False
    with replacing(out) as temporary:
        shutil.move(waiting, temporary)
        os.utime(temporary)  # Snakemake requires it to be newer than its allocation and than the list
    print(f"{out}: trained in an earlier batch", file=sys.stderr)
    return True


def _others(
    own: Run, folder: Path, listed: Mapping[str, _Listed], since: float, locks: RunLocks, device: str
) -> Iterator[Run]:
    """The runs of a list to train with ``own``: the share of one GPU, if the runs are divided among all GPUs."""
    if locks.without:  # other processes may be training these
        return
    left = {name: entry for name, entry in listed.items() if name != own.spec.run_id}
    left = {name: entry for name, entry in left.items() if not _newer(Path(entry.out), since)}
    wanted = -(-(len(left) + 1) // max(1, cuda.count() if device == "cuda" else 1)) - 1
    for name, entry in left.items():
        if wanted <= 0:
            return
        spec = RunSpec.parse(entry.spec, f"run {name} of the list")
        if spec.run_id != name:
            raise UserError(f"the list: run {name} has the spec of {spec.run_id}")
        if shape_of(spec) != shape_of(own.spec) or not locks.take(spec.run_id):
            continue
        run = _readable(spec, Path(entry.allocation))
        if run is None or trajectories.agrees(_waiting(folder, run), spec, run.assigned, device):
            locks.leave(spec.run_id)
            continue
        wanted -= 1
        yield run


def _readable(spec: RunSpec, allocation: Path) -> Run | None:
    """A run with its allocation, which is drawn if its file is missing; None if the file holds another allocation."""
    try:
        return Run(spec, _held(spec, allocation if allocation.exists() else None))
    except UserError:
        return None


def _held(spec: RunSpec, allocation: Path | None) -> NDArray[np.int32]:
    wanted = spec.allocation_spec
    return allocations.draw(wanted) if allocation is None else allocations.read(allocation, wanted)


def _newer(path: Path, than: float) -> bool:
    return path.exists() and path.stat().st_mtime >= than


def _waiting(folder: Path, run: Run) -> Path:
    return folder / f"{run.spec.run_id}.nc"


def _read(path: Path) -> tuple[Path, dict[str, _Listed]]:
    batch = parse(_List, read_json(read_text(path, _MOST_BYTES), path), path)
    return Path(batch.folder), batch.runs


def fit(runs: Sequence[Run], room: float) -> list[Run]:
    """The first runs that together fit into ``room`` bytes; the first one is always among them."""
    taken = np.cumsum([footprint(run) for run in runs])
    return list(runs[: max(1, int((taken <= room).sum()))])


def footprint(run: Run) -> float:
    """An upper estimate of the bytes that a run takes in a batch; a test checks that the loop never takes more."""
    spec, (seeds, devices, slots) = run.spec, run.assigned.shape
    number = 8 if spec.dtype == "float64" else 4
    sizes, compared = spec.sizes, max(devices, spec.compared)
    numbers = (
        sizes.memory
        + 12 * spec.rows * sizes.dimension  # messages, Byzantine messages, their sorted copies
        + 6 * compared**2  # distances
    )
    integers = (
        5 * spec.rows * sizes.dimension  # places in a sorted row, and the order of messages by their values
        + 3 * compared**2  # neighbours, in order
        + 4 * devices * slots * sizes.rows  # which device adds which rows, with weights
        + 2 * BLOCK * (2 * devices + (sizes.subsets if spec.assignment != "fixed" else 0))
        + 2 * (len(quantities_of(spec)) + len(COUNTS)) * len(spec.record.iterations(spec.iterations))
    )
    return float(seeds * (number * numbers + 8 * integers))


def _memory() -> float:
    """Bytes of free memory on the CPU."""
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
