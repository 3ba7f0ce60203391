"""A reading: train the runs that the claims need under it, and give the verdicts."""

from __future__ import annotations

from functools import cache

import pandas as pd

from byzcode.analysis import evidence, marks
from byzcode.analysis.levels import Run, of_measurements
from byzcode.execution.progress import progress
from byzcode.multiverse.plan import Multiverse
from byzcode.multiverse.readings import Universe
from byzcode.specs.ids import by_id
from byzcode.storage import allocations
from byzcode.training.workers import train

#: The columns of the evidence that a reading stores.
KEPT = ["claim", "cell", "mark", "test", "effect", "low", "high", "verdict", "pairs", "seeds", "note"]


def verdicts(multiverse: Multiverse, universe: Universe) -> pd.DataFrame:
    """One row per test: the reading, and the verdict on the claim under it. Raises UserError."""
    tests = multiverse.tests(universe)
    specs = by_id((spec for test in tests for spec in test.specs.values()), f"reading {universe.name}")
    drawn = cache(allocations.draw)  # many runs share an allocation
    with progress(f"reading {universe.name}", len(specs), "runs") as advance:

        @cache
        def run_of(name: str) -> Run:
            spec = specs[name]
            allocation = drawn(spec.allocation_spec)
            measured = train(spec, allocation)
            advance(1)
            return of_measurements(spec, measured, allocation)

        rows = marks.verdicts(evidence.evidence([evidence.ClaimTest.parse(test.request) for test in tests], run_of))
    taken = {f"choice:{name}": value for name, value in universe.taken.items()}
    about = {"reading": universe.name, "kind": universe.kind, "size": universe.size, **taken}
    return pd.concat(
        [
            pd.DataFrame([about | {"study": test.study} for test in tests]),
            rows[KEPT].reset_index(drop=True),
        ],
        axis=1,
    )
