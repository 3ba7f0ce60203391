"""Run-iterations on a GPU: CRA-DL with the median under sign flip, 1, 16 and 256 runs side by side.

Wall-clock time of one run-iteration, the device waited for; the start of a run does not count. ``bandwidth`` is the
floor: what it takes to read the same bytes as quickly as a copy from device to device goes, measured in the same run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import cache

import runs
import torch
from timing import Case, Contender

from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.batch import Part, assemble
from byzcode.training.loop import loop

BATCHES = (1, 16, 256)
COPIED = 1 << 30


def cases(quick: bool, wanted: Callable[[str], bool]) -> Iterator[Case]:
    chosen = [
        (batch, dtype) for dtype in ("float64", "float32") for batch in BATCHES if wanted(f"gpu: {_name(batch, dtype)}")
    ]
    if not torch.cuda.is_available():
        if chosen:
            print("gpu: no CUDA device: left out", file=sys.stderr)
        return
    for batch, dtype in chosen:
        of = _spec(batch, dtype, 200 if quick else 1000)
        size = runs.bytes_read(of) * (1.0 if dtype == "float64" else 0.5)
        contenders = {
            "byzcode": Contender(lambda of=of: _seconds(of)),
            "bandwidth": Contender(lambda size=size: _read(size)),
        }
        yield Case("gpu", _name(batch, dtype), contenders)


def _name(batch: int, dtype: str) -> str:
    return f"CRA-DL r = 40, median, {batch} runs, {dtype}"


def _spec(batch: int, dtype: str, iterations: int) -> RunSpec:
    fields = {
        **runs.RUNS["CRA-DL r = 40, median"],
        "attack": "sign_flip",
        "dtype": dtype,
        "record": {"step": iterations},
    }
    return RunSpec.parse({**fields, "seeds": batch, "iterations": iterations}, "benchmark")


def _seconds(of: RunSpec) -> float:
    """Of one run-iteration: from the first record, at iteration 0, to the other, at the last one."""
    at = []

    def recorded(_: int) -> None:
        torch.cuda.synchronize()
        at.append(time.perf_counter())

    with torch.inference_mode():
        loop(_batch(of), recorded)
    return (at[1] - at[0]) / (of.iterations * len(of.seeds))


@cache
def _batch(of: RunSpec):  # type: ignore[no-untyped-def]
    return assemble([Part(of, of.seeds, allocations.draw(of.allocation_spec))], "cuda")


def _read(size: float) -> float:
    """Seconds to read so many bytes, half of the time of a copy of as many."""
    source, target = _buffers()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(10):
        target.copy_(source)
    torch.cuda.synchronize()
    return (time.perf_counter() - begun) / 10 * size / (2 * COPIED)


@cache
def _buffers() -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.ones(COPIED, dtype=torch.uint8, device="cuda")
    return source, torch.empty_like(source)
