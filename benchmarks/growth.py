"""How the time of one iteration grows with N, M and D, one at a time from the size of the paper.

Without the start of a run (data, optimum, allocation): between the records of the first and of the last iteration.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from runs import bytes_read
from timing import Case, Contender, Timing

from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.workers import train

BASE = {"N": 100, "M": 1000, "D": 100}

#: A ladder whose other sizes differ from those of the paper: 1000 subsets of a million parameters take 8 GB and more.
FEW = "median at M = 100"

#: Which rule, what grows, through which sizes; the quick ones leave out what is beyond ten times the size of the paper.
LADDERS: list[tuple[str, str, tuple[int, ...]]] = [
    ("median", "N", (100, 200, 500, 1000, 2000, 5000)),
    ("nnm + trimmed_mean", "N", (100, 200, 500, 1000, 2000, 5000)),
    ("median", "M", (1000, 2000, 5000, 10_000)),
    ("median", "D", (100, 300, 1000, 10_000)),
    (FEW, "D", (100, 1000, 10_000, 100_000, 1_000_000)),
]

#: Iterations of a run, and of one with more than LARGE numbers in its messages.
ITERATIONS, SHORT, LARGE = 20, 4, 2_000_000


def spec(rule: str, sizes: dict[str, int]) -> RunSpec:
    sizes = sizes | ({"M": 100} if rule == FEW else {})
    *before, rule = rule.removesuffix(FEW.removeprefix("median")).split(" + ")
    iterations = SHORT if sizes["N"] * sizes["D"] > LARGE else ITERATIONS
    return RunSpec.parse(
        {
            "method": "cra_dl",
            "problem": {"name": "linear_regression", "subsets": sizes["M"], "dimension": sizes["D"]},
            "devices": sizes["N"],
            "redundancy": 40,
            "attack": "sign_flip",
            "pre_aggregation": before[0] if before else "none",
            "aggregation": rule,
            "record": {"step": iterations},
            "iterations": iterations,
            "seeds": 1,
        },
        "benchmark",
    )


def an_iteration(of: RunSpec, assigned: Any) -> float:
    """CPU seconds of one iteration."""
    marks: list[float] = []
    train(of, assigned, progress=lambda _: marks.append(time.process_time()))
    return (marks[-1] - marks[0]) / of.iterations


def cases(quick: bool, wanted: Callable[[str], bool]) -> Iterator[Case]:
    for rule, letter, ladder in LADDERS:
        for size in (size for size in ladder if not quick or size <= 10 * BASE[letter]):
            name = f"{rule}, {letter} = {size}"
            if wanted(f"growth: {name}"):
                asked = spec(rule, {**BASE, letter: size})
                contender = Contender(partial(an_iteration, asked, allocations.draw(asked.allocation_spec)))
                resident = 8.0 * asked.subsets * asked.dimension
                yield Case("growth", name, {"byzcode": contender}, bytes_read(asked), resident)


def laws(timings: Sequence[Timing]) -> Iterator[tuple[str, str]]:
    """Of each ladder: the slope of log time against log size, over all sizes and over the last two."""
    best = {each.case.name: each.best for each in timings if each.case.family == "growth"}
    for rule, letter, ladder in LADDERS:
        known = [(size, best[name]) for size in ladder if (name := f"{rule}, {letter} = {size}") in best]
        if len(known) > 1:
            sizes, seconds = np.log(known).T
            slope, last = np.polyfit(sizes, seconds, 1)[0], np.diff(seconds)[-1] / np.diff(sizes)[-1]
            ladder_name = f"{rule}, {letter} = {known[0][0]:,} to {known[-1][0]:,}"
            yield ladder_name, f"time ~ {letter}^{slope:.2f}; between the last two {letter}^{last:.2f}"
