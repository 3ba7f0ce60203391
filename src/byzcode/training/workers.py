"""Run trainings: in batches of seeds on a CPU, in one process or several, or in a single batch on a GPU.

On a CPU a batch has as many seeds as fit into the caches, and ``threads`` batches run at a time, each in its own
process. On a GPU all seeds of all specs of one shape are one batch. The random numbers of a seed are the same in all
cases.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.errors import UserError
from byzcode.kernels.product import ALIGNED
from byzcode.lazy import torch
from byzcode.specs.run import RunSpec
from byzcode.training.batch import Build, Part, assemble, build, once_each
from byzcode.training.loop import Progress, loop
from byzcode.training.memory import keep_freed_memory
from byzcode.training.records import Measurements, join

#: Bytes of data and messages of one batch on a CPU. A larger batch shares the cost of each call among more runs, but
#: less of it stays in the caches. 4 to 6 MiB was best with 1 MiB of second-level and 32 MiB of third-level cache.
CACHE = 5 << 20


def train(
    spec: RunSpec,
    assigned: NDArray[np.int32],
    *,
    device: str = "cpu",
    threads: int = 1,
    progress: Progress | None = None,
) -> Measurements:
    """Train all seeds of a spec on their allocations ``assigned`` (R, N, S).

    On the CPU a seed of a float64 run gives the same bits alone or in a batch, with any number of ``threads``. With
    more than one, the threads are processes: call this function under ``if __name__ == "__main__"``. Raises UserError
    if the compute device is not available, ValueError if ``assigned`` does not match the spec.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1; got {threads}")
    if device != "cpu":
        return train_together([spec], [assigned], device=device, progress=progress)[0]
    advance, parts = progress or _unseen, _parts(spec, assigned, threads)
    if threads == 1 or len(parts) == 1:
        return join([_train([part], device, advance) for part in parts])
    return join(_in_processes(parts, min(threads, len(parts)), advance))


def train_together(
    specs: Sequence[RunSpec],
    assigned: Sequence[NDArray[np.int32]],
    *,
    device: str,
    progress: Progress | None = None,
) -> list[Measurements]:
    """Train all seeds of specs of one shape (:func:`byzcode.training.batch.shape_of`) as one batch.

    Each spec has its allocations (R, N, S) in ``assigned``. Raises ValueError if the shapes differ, UserError if the
    compute device is not available.
    """
    require(device)
    parts = [Part(spec, _seeds(spec, lists), lists) for spec, lists in zip(specs, assigned, strict=True)]
    measured = _train(parts, device, progress or _unseen)
    ends = np.cumsum([len(spec.seeds) for spec in specs])
    return [measured.rows(end - len(spec.seeds), end) for spec, end in zip(specs, ends.tolist(), strict=True)]


def train_alike(
    specs: Sequence[RunSpec],
    assigned: Sequence[NDArray[np.int32]],
    wanted: Sequence[Container[str]],
) -> Iterator[Measurements]:
    """Train specs one by one on the CPU, and build each problem that some of them share only once.

    Each spec has its allocations (R, N, S) in ``assigned``, and in ``wanted`` the quantities to measure besides the
    loss and the counts. The results have the bits of :func:`train`. Raises ValueError as :func:`train` does.
    """
    build = once_each()
    for spec, lists, quantities in zip(specs, assigned, wanted, strict=True):
        yield join([_train([part], "cpu", _unseen, quantities, build) for part in _parts(spec, lists)])


def _unseen(_: int) -> None:
    """Ignore progress."""


def _seeds(spec: RunSpec, assigned: NDArray[np.int32]) -> tuple[int, ...]:
    if assigned.shape[:2] != (len(spec.seeds), spec.devices):
        raise ValueError(f"assigned must be (R, N, S) = ({len(spec.seeds)}, {spec.devices}, S); got {assigned.shape}")
    if assigned.size and not (assigned.min() >= EMPTY and assigned.max() < spec.subsets):
        raise ValueError(f"assigned must name subsets 0 to {spec.subsets - 1}, or {EMPTY} for none")
    return spec.seeds


def _parts(spec: RunSpec, assigned: NDArray[np.int32], threads: int = 1) -> list[Part]:
    """The batches of a spec on the CPU."""
    seeds, size = _seeds(spec, assigned), _side_by_side(spec, threads)
    return [
        Part(spec, seeds[first : first + size], assigned[first : first + size]) for first in range(0, len(seeds), size)
    ]


def _side_by_side(spec: RunSpec, threads: int) -> int:
    """The number of seeds in one batch on the CPU."""
    number = 8 if spec.dtype == "float64" else 4
    sizes = spec.sizes
    if number * sizes.data % ALIGNED:
        return 1  # otherwise each product would copy the data of the second seed, which is not aligned
    run = number * (sizes.data + 2 * spec.rows * sizes.dimension)
    return max(1, min(CACHE // run, -(-len(spec.seeds) // threads)))


def _in_processes(parts: Sequence[Part], workers: int, advance: Progress) -> list[Measurements]:
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {
            pool.submit(_train_quietly, part.spec.canonical(), part.seeds, part.assigned): part for part in parts
        }
        for done in as_completed(futures):
            advance(len(futures[done].seeds) * (futures[done].spec.iterations + 1))
        return [future.result() for future in futures]


def _train_quietly(spec: str, seeds: tuple[int, ...], assigned: NDArray[np.int32]) -> Measurements:
    """Train in a worker process. It gets the spec as JSON, because the classes of components are made at import."""
    keep_freed_memory()
    return _train([Part(RunSpec.from_json(spec, "spec"), seeds, assigned)], "cpu", _unseen)


def _train(
    parts: Sequence[Part],
    device: str,
    advance: Progress,
    wanted: Container[str] | None = None,
    build: Build = build,
) -> Measurements:
    with torch.inference_mode(), _one_thread():
        return loop(assemble(parts, device, build), advance, wanted).close()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one torch thread. With more, torch would split sums and so change bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def require(device: str) -> None:
    """Raise UserError if a compute device is not available."""
    if device not in ("cpu", "cuda"):
        raise UserError(f"device {device!r}: allowed: cpu, cuda (the current one: torch.cuda.set_device)")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device is available to torch here; allowed: cpu")
