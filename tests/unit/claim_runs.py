"""Claims and made-up runs with a known answer, for the tests of levels, comparisons, evidence and cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from byzcode.analysis.comparisons import TESTS
from byzcode.analysis.levels import Run
from byzcode.analysis.marks import LEVEL
from byzcode.specs.run import RunSpec
from byzcode.studies.claim import Claim
from byzcode.training.status import Status

ROOT = Path(__file__).parents[2]
SEEDS, STEPS = 20, np.arange(101)
WORDS = {
    "claim": "one",
    "says": "It does.",
    "source": "Nowhere",
    "mark": "inferred",
    "curve": "A",
    "confirms": "If so.",
    "refutes": "If not.",
}
RECORD = ("claim", "says", "source", "mark")
ENOUGH = LEVEL / 400  # what Holm leaves of it among 200 tests of both sides


def claim(test, **more):
    words = {key: value for key, value in WORDS.items() if test != "open" or key in RECORD}
    return TypeAdapter(Claim).validate_python({**words, "test": test, **more})


def spec(**changes):
    values = {
        "method": "cra_dl",
        "problem": {"name": "linear_regression", "subsets": 60, "dimension": 7},
        "devices": 20,
        "redundancy": 12,
        "aggregation": "median",
        "iterations": 100,
        "record": {"step": 1},
        "seeds": SEEDS,
        **changes,
    }
    return RunSpec.parse({key: value for key, value in values.items() if value is not None}, "test")


#: How a trajectory goes to, or does not go to, its level: factors of the level over the iterations.
SHAPES = {
    "plateau": 1 + 1e3 * 0.8**STEPS,
    "falling": 0.95 ** (STEPS - 90.0),
    "rising": 1.05 ** (STEPS - 90.0),
}


def run(levels, shape="plateau", quantity="excess_loss", diverged=(), **changes):
    """A run whose seeds have these levels. ``shape``: one for all, or one a seed. ``diverged``: seeds that do.

    Where the spec is undefined, nothing is there beyond the start.
    """
    shapes = [shape] * len(levels) if isinstance(shape, str) else shape
    values = np.stack([level * SHAPES[each] for level, each in zip(levels, shapes, strict=True)])
    values[:, 0] = 1e3  # all begin at the same theta
    values[list(diverged), 60:] = np.nan
    status = np.where(np.isin(np.arange(len(levels)), list(diverged)), Status.DIVERGED, Status.FINISHED)
    asked = spec(**changes)
    if asked.undefined:
        values[:, 1:], status = np.nan, np.full(len(levels), Status.UNDEFINED)
    return Run(asked, {quantity: values}, status)


def scattered(centre, seed=0, spread=0.1, count=SEEDS):
    return centre * np.exp(np.random.default_rng(seed).normal(scale=spread, size=count))


def tried(one, *runs, against=()):
    return TESTS[one.test](one, list(runs), list(against))


LOWER = claim("lower", against="B")


def lower(one, other, **more):
    return tried(claim("lower", against="B", **more), one, against=[other])


def equivalent_of(one, other):
    return tried(claim("equivalent", against="B", margin=1.25), one, against=[other])


UP, DOWN = "rising", "falling"
