"""Where trainings run: seeds in batches on a CPU, in one process or several, or all together on a GPU.

On a CPU a few seeds are one batch, as many as stay in the caches; ``threads`` batches at once, each in its own process.
On a GPU all seeds, of all specs of one shape, are one batch. Either way a seed meets the same random numbers.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.errors import UserError
from byzcode.kernels.product import ALIGNED
from byzcode.lazy import torch
from byzcode.specs.run import RunSpec
from byzcode.training.batch import Part, assemble
from byzcode.training.loop import Progress, loop
from byzcode.training.records import Measurements, join

#: Bytes of data and messages that are trained side by side on a CPU. Beside others a run shares the cost of each call,
#: and less of it stays in the caches; the best is 4 to 6 MiB, where the second level has 1 MiB and the third 32.
CACHE = 4 << 20


def train(
    spec: RunSpec,
    held: NDArray[np.int32],
    *,
    device: str = "cpu",
    threads: int = 1,
    progress: Progress | None = None,
) -> Measurements:
    """Train all seeds of a spec on their allocations ``held`` (R, N, S).

    On the CPU a seed of a float64 run gives the same bits alone or beside others, with any number of ``threads`` (more
    than one are processes: call it under ``if __name__ == "__main__"``). Raises UserError where the device is not
    there, ValueError where ``held`` is not of this spec.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1; got {threads}")
    if device != "cpu":
        return train_together([spec], [held], device=device, progress=progress)[0]
    advance = progress or _unseen
    seeds, size = _seeds(spec, held), _side_by_side(spec, threads)
    parts = [
        Part(spec, seeds[first : first + size], held[first : first + size]) for first in range(0, len(seeds), size)
    ]
    if threads == 1 or len(parts) == 1:
        return join([_train([part], device, advance) for part in parts])
    return join(_in_processes(parts, min(threads, len(parts)), advance))


def train_together(
    specs: Sequence[RunSpec],
    held: Sequence[NDArray[np.int32]],
    *,
    device: str,
    progress: Progress | None = None,
) -> list[Measurements]:
    """Train all seeds of specs of one shape (:func:`byzcode.training.batch.shape_of`) as one batch.

    Each is trained on its allocations ``held`` (R, N, S).

    Raises ValueError where their shapes differ, UserError where the device is not there.
    """
    require(device)
    parts = [Part(spec, _seeds(spec, lists), lists) for spec, lists in zip(specs, held, strict=True)]
    measured = _train(parts, device, progress or _unseen)
    ends = np.cumsum([len(spec.seeds) for spec in specs])
    return [measured.rows(end - len(spec.seeds), end) for spec, end in zip(specs, ends.tolist(), strict=True)]


def _unseen(_: int) -> None:
    """Progress that nobody looks at."""


def _seeds(spec: RunSpec, held: NDArray[np.int32]) -> tuple[int, ...]:
    if held.shape[:2] != (len(spec.seeds), spec.devices):
        raise ValueError(f"held must be (R, N, S) = ({len(spec.seeds)}, {spec.devices}, S); got {held.shape}")
    if held.size and not (held.min() >= EMPTY and held.max() < spec.subsets):
        raise ValueError(f"held must name subsets 0 to {spec.subsets - 1}, or {EMPTY} for none")
    return spec.seeds


def _side_by_side(spec: RunSpec, threads: int) -> int:
    """How many seeds are one batch on the CPU."""
    number = 8 if spec.dtype == "float64" else 4
    sizes = spec.sizes
    if number * sizes.data % ALIGNED:
        return 1  # the data of the second seed would be copied for each product
    run = number * (sizes.data + 2 * spec.devices * sizes.dimension)
    return max(1, min(CACHE // run, -(-len(spec.seeds) // threads)))


def _in_processes(parts: Sequence[Part], workers: int, advance: Progress) -> list[Measurements]:
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_train_quietly, part.spec.canonical(), part.seeds, part.held): part for part in parts}
        for done in as_completed(futures):
            advance(len(futures[done].seeds) * (futures[done].spec.iterations + 1))
        return [future.result() for future in futures]


def _train_quietly(spec: str, seeds: tuple[int, ...], held: NDArray[np.int32]) -> Measurements:
    """A task of another process; the spec travels as JSON, because the classes of its components are made at import."""
    return _train([Part(RunSpec.from_json(spec, "spec"), seeds, held)], "cpu", _unseen)


def _train(parts: Sequence[Part], device: str, advance: Progress) -> Measurements:
    with torch.inference_mode(), _one_thread():
        return loop(assemble(parts, device), advance).close()


@contextmanager
def _one_thread() -> Iterator[None]:
    """More threads would split sums, and so change bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def require(device: str) -> None:
    """Raises UserError where a device is not there."""
    if device not in ("cpu", "cuda"):
        raise UserError(f"device {device!r}: allowed: cpu, cuda (the current one: torch.cuda.set_device)")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device is available to torch here; allowed: cpu")
