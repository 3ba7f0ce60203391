"""Whole training runs, microseconds an iteration: the engine, a loop over devices, and byzfl.

The engine's time is that of the whole call of ``train`` for some seeds: data, streams, attack, rule, records. The
others start with their data ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import peers
from naive import Loop
from numpy.typing import NDArray
from timing import Case, repeated

from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.workers import train

#: Seeds of a run, as in the studies; some of them are trained side by side.
SEEDS = 10

#: Iterations of a loop over devices, or of byzfl's classes, and of byzfl's rules on batched gradients.
SHORT, LONGER = 4, 50

LAD: dict[str, Any] = {"problem": {"name": "linear_regression", "subsets": 100}, "redundancy": 20}
RUNS: dict[str, dict[str, Any]] = {
    "RBA-DL, trimmed_mean": {"method": "rba_dl", "aggregation": "trimmed_mean"},
    "CRA-DL r = 40, median": {"method": "cra_dl", "redundancy": 40, "aggregation": "median"},
    "CRA-DL r = 40, trimmed_mean": {"method": "cra_dl", "redundancy": 40, "aggregation": "trimmed_mean"},
    "CRA-DL r = 40, phocas": {"method": "cra_dl", "redundancy": 40, "aggregation": "phocas"},
    "LAD d = 20, trimmed_mean": {**LAD, "method": "lad", "aggregation": "trimmed_mean"},
    "LAD d = 20, nnm + trimmed_mean": {**LAD, "method": "lad", "aggregation": "trimmed_mean", "pre_aggregation": "nnm"},
    "Com-LAD d = 20, random_k, nnm + trimmed_mean": {
        **LAD,
        "method": "com_lad",
        "aggregation": "trimmed_mean",
        "pre_aggregation": "nnm",
    },
    "DRACO cyclic r = 110": {"method": "draco_cyclic", "redundancy": 110, "byzantine": {"alpha": 0.05}},
}


def spec(fields: dict[str, Any], iterations: int, seeds: int = 1) -> RunSpec:
    """A run under sign flip."""
    return RunSpec.parse({**fields, "attack": "sign_flip", "seeds": seeds, "iterations": iterations}, "benchmark")


def bytes_read(of: RunSpec) -> float:
    """Of one iteration: the data once for the residuals, the rows that are summed, and the messages."""
    size = 8 * of.dimension
    parts = 2 if of.method == "draco_cyclic" else 1  # real and imaginary
    return size * (of.subsets + parts * of.redundancy * of.devices + parts * of.devices)


def last_loss(of: RunSpec, assigned: NDArray[np.int32]) -> float:
    return float(train(of, assigned).loss[0, -1])


def cases(quick: bool, wanted: Callable[[str], bool]) -> Iterator[Case]:
    library = peers.byzfl()
    for name, fields in RUNS.items():
        if not wanted(f"run: {name}"):
            continue
        length = 500 if quick else 2000
        whole, long, short = spec(fields, length, SEEDS), spec(fields, length), spec(fields, SHORT)
        all_held = allocations.draw(whole.allocation_spec)
        assigned = all_held[:1]
        loop, ours = Loop(short, assigned), partial(train, whole, all_held)
        contenders = {
            "byzcode": repeated(ours, SEEDS * length, answer=partial(last_loss, short, assigned)),
            "plain": repeated(partial(loop.train, SHORT), SHORT, answer=partial(loop.train, SHORT)),
        }
        if library is not None and long.aggregation.name in peers.CLASSES and long.compression.name == "identity":
            classes, batched = peers.Federation(library, long, assigned), peers.Batched(library, long, assigned)
            contenders["byzfl"] = repeated(partial(classes.train, SHORT), SHORT)
            contenders["byzfl, batched"] = repeated(partial(batched.train, LONGER), LONGER)
        yield Case("run", name, contenders, bytes_read(long), resident=8.0 * long.subsets * long.dimension)
