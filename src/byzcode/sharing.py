"""Runs of one shape trained as one batch, though each is a job of its own.

A GPU is filled by many runs only, and the workflow has one job a run, so that only what changed runs again. So the
first job of a batch to come also trains the runs whose jobs will come later, and leaves their trajectories waiting in
a folder; a later job finds its own there and moves it into place, for which torch is not even imported.

Which runs are a batch is listed in a file::

    {"folder": "results/batches", "runs": {"<run id>": {"spec": {...}, "allocation": "a.nc", "out": "b.nc"}, ...}}

The list only proposes. A run is trained beside others where its shape is theirs, nobody else trains it, its file is not
newer than the list and nothing that serves waits for it. A waiting trajectory is used where it is whole and of the same
spec, allocation, code, libraries and device; otherwise it is thrown away. Who trains a run holds a lock on it, which
the system drops with his process: a job whose run is being trained by another waits, and so sees what came of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzcode import cuda, trajectory
from byzcode.allocation import file
from byzcode.batch import shape_of
from byzcode.engine import train_together
from byzcode.errors import UserError
from byzcode.progress import progress
from byzcode.randomness import BLOCK
from byzcode.records import QUANTITIES, Measurements
from byzcode.studies.files import read_text
from byzcode.studies.names import Filename
from byzcode.studies.plain_json import read_json
from byzcode.studies.requests import Id
from byzcode.studies.spec import RunSpec, parse
from byzcode.studies.strict import Strict
from byzcode.wholefile import text, whole, writable

#: What part of the free memory a batch may take by our estimate of it.
FILLED = 0.5


#: Of a list: that of 100,000 runs has some 100 million.
_MOST_BYTES = 2**28


class _Listed(Strict):
    """A run of a list."""

    spec: dict[str, Any]
    allocation: Filename
    out: Filename


class _List(Strict):
    """The file."""

    folder: Filename
    runs: dict[Id, _Listed]


@dataclass(frozen=True, eq=False)
class Run:
    """A run that is asked for, and what its devices hold, (R, N, S)."""

    spec: RunSpec
    held: NDArray[np.int32]


def write_list(path: Path, folder: str, runs: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a list, in the form above; what waits will lie in ``folder``."""
    with text(path) as written:
        json.dump({"folder": folder, "runs": runs}, written)


def train(spec: RunSpec, allocation: Path | None, out: Path, *, together: Path, device: str) -> None:
    """Store the trajectory of a run at ``out``: fetched if it waits, else trained beside others of the list."""
    folder, listed = _read(together)
    own = Run(spec, _held(spec, allocation))
    writable(_waiting(folder, own))  # if it is there, it serves or is replaced; so are those of the others
    with Claims(folder) as claims:
        while True:
            with claims.choosing():
                if claims.take(spec.run_id):
                    if _fetched(own, folder, out, device):
                        return
                    chosen = [own, *_others(own, folder, listed, together.stat().st_mtime, claims, device)]
                    break
            claims.take(spec.run_id, wait=True)  # till who trains it is done, or dead
        with cuda.reserved() if device == "cuda" else nullcontext(device) as here:
            fitting = fit(chosen, FILLED * (cuda.room() if device == "cuda" else _memory()))
            for run in chosen[len(fitting) :]:
                claims.leave(run.spec.run_id)  # to whoever comes next
            _train(fitting, folder, out, device, here, claims)


def _train(batch: Sequence[Run], folder: Path, out: Path, device: str, here: str, claims: Claims) -> None:
    """Train a batch and store the first run at ``out``, the others where they wait."""
    while True:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            measured = _measured(batch, here)
            break
        except RuntimeError as error:  # no memory, or a run that fails: it is to be its own failure
            if len(batch) == 1:
                raise
            reason = str(error).partition("\n")[0]
            print(f"{len(batch)} runs as one batch failed, now half as many: {reason}", file=sys.stderr, flush=True)
        half = len(batch) // 2
        for run in batch[half:]:
            claims.leave(run.spec.run_id)
        batch = batch[:half]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    seeds = sum(len(run.spec.seeds) for run in batch)
    for place, (run, found) in enumerate(zip(batch, measured, strict=True)):
        share = len(run.spec.seeds) / seeds
        trajectory.write(
            _waiting(folder, run) if place else out,
            run.spec,
            found,
            run.held,
            device=device,
            threads=1,
            wall_seconds=wall * share,
            cpu_seconds=cpu * share,
            batch_runs=len(batch),
        )


def _measured(batch: Sequence[Run], device: str) -> list[Measurements]:
    specs = [run.spec for run in batch]
    steps = sum(len(spec.seeds) * (spec.iterations + 1) for spec in specs)
    beside = f" and {len(specs) - 1} beside it" if len(specs) > 1 else ""
    with progress(f"train {specs[0].run_id}{beside}", steps) as advance:
        return train_together(specs, [run.held for run in batch], device=device, progress=advance)


def _fetched(own: Run, folder: Path, out: Path, device: str) -> bool:
    """Move a waiting trajectory into place, if there is one that serves."""
    waiting = _waiting(folder, own)
    if not trajectory.agrees(waiting, own.spec, own.held, device):
        waiting.unlink(missing_ok=True)
        return False
    with whole(out) as temporary:
        shutil.move(waiting, temporary)
        os.utime(temporary)  # newer than its allocation, as Snakemake wants it, and than the list
    print(f"{out}: trained in an earlier batch", file=sys.stderr)
    return True


def _others(
    own: Run, folder: Path, listed: Mapping[str, _Listed], since: float, claims: Claims, device: str
) -> Iterator[Run]:
    """The runs of a list that are to be trained beside ``own``: of as many devices as there are, one's share."""
    left = {name: each for name, each in listed.items() if name != own.spec.run_id}
    left = {name: each for name, each in left.items() if not _newer(Path(each.out), since)}
    wanted = -(-(len(left) + 1) // max(1, cuda.count() if device == "cuda" else 1)) - 1
    for name, each in left.items():
        if wanted <= 0:
            return
        spec = RunSpec.parse(each.spec, f"run {name} of the list")
        if spec.run_id != name:
            raise UserError(f"the list: run {name} has the spec of {spec.run_id}")
        if shape_of(spec) != shape_of(own.spec) or not claims.take(spec.run_id):
            continue
        run = _readable(spec, Path(each.allocation))
        if run is None or trajectory.agrees(_waiting(folder, run), spec, run.held, device):
            claims.leave(spec.run_id)
            continue
        wanted -= 1
        yield run


def _readable(spec: RunSpec, allocation: Path) -> Run | None:
    """A run on its allocation, which is drawn where its file is yet to be made; none where that is not its own."""
    try:
        return Run(spec, _held(spec, allocation if allocation.exists() else None))
    except UserError:
        return None


def _held(spec: RunSpec, allocation: Path | None) -> NDArray[np.int32]:
    wanted = spec.allocation_spec
    return file.draw(wanted) if allocation is None else file.read(allocation, wanted)


def _newer(path: Path, than: float) -> bool:
    return path.exists() and path.stat().st_mtime >= than


def _waiting(folder: Path, run: Run) -> Path:
    return folder / f"{run.spec.run_id}.nc"


def _read(path: Path) -> tuple[Path, dict[str, _Listed]]:
    found = parse(_List, read_json(read_text(path, _MOST_BYTES), path), path)
    return Path(found.folder), found.runs


def fit(runs: Sequence[Run], room: float) -> list[Run]:
    """The first of some runs that together fit into so many bytes; the first one always."""
    taken = np.cumsum([footprint(run) for run in runs])
    return list(runs[: max(1, int((taken <= room).sum()))])


def footprint(run: Run) -> float:
    """About how many bytes a run takes in a batch, at most: a test holds it above what the loop has at once."""
    spec, (seeds, devices, slots) = run.spec, run.held.shape
    number = 8 if spec.dtype == "float64" else 4
    rows, samples = spec.samples, spec.samples // spec.subsets
    numbers = (
        (2 + (samples > 1))
        * rows
        * (spec.dimension + 3)  # once more while a batch is put together, or mixed per subset
        + 12 * devices * spec.dimension  # messages, lies, their sorted copies
        + 6 * devices * devices  # distances
    )
    whole_numbers = (
        2 * devices * spec.dimension  # places in a sorted row
        + 4 * devices * slots * samples  # who adds which rows, with weights
        + 2 * BLOCK * (2 * devices + (spec.subsets if spec.assignment != "fixed" else 0))
        + 2 * len(QUANTITIES) * len(spec.record.iterations(spec.iterations))
    )
    return float(seeds * (number * numbers + 8 * whole_numbers))


def _memory() -> float:
    """Bytes of free memory on the CPU."""
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


class Claims:
    """Which runs this process trains: a byte a run of one file, locked. The locks go with the process."""

    _CHOICE = 0  # the byte of who just chooses runs

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / ".lock").open("ab")
        except OSError as error:
            raise UserError(f"{folder}: cannot be written: {error.strerror}") from None

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def take(self, run: str, *, wait: bool = False) -> bool:
        """Claim a run: whether it could be had, for certain if it may ``wait``. To claim it twice is no harm."""
        return self._lock(self._byte(run), fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def leave(self, run: str) -> None:
        """Claim a run no longer."""
        self._lock(self._byte(run), fcntl.LOCK_UN)

    @contextmanager
    def choosing(self) -> Iterator[None]:
        """One process at a time chooses, lest two that begin at once share out a batch at random."""
        self._lock(self._CHOICE, fcntl.LOCK_EX)
        try:
            yield
        finally:
            self._lock(self._CHOICE, fcntl.LOCK_UN)

    def _byte(self, run: str) -> int:
        return 1 + int(run, 16)  # of a run's own, whatever is listed; a file need not reach so far to be locked there

    def _lock(self, byte: int, how: int) -> bool:
        try:
            fcntl.lockf(self._file, how, 1, byte)
        except (BlockingIOError, PermissionError):  # by which systems say that another has it
            return False
        except OSError as error:
            raise UserError(f"{self._file.name}: cannot be locked: {error.strerror}") from None
        return True
