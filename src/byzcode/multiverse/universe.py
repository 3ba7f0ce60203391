"""A reading: train the runs that the claims need under it, and give the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

import pandas as pd

from byzcode.analysis import evidence, marks
from byzcode.analysis.comparisons import quantities_of
from byzcode.analysis.levels import Run, of_measurements
from byzcode.execution.progress import progress
from byzcode.multiverse.plan import Multiverse
from byzcode.multiverse.readings import Universe
from byzcode.specs.ids import by_id
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.studies.claim import Tested
from byzcode.training.workers import train_alike

#: The columns of the evidence that a reading stores.
KEPT = ["claim", "cell", "mark", "test", "effect", "low", "high", "verdict", "pairs", "seeds", "note"]


def verdicts(multiverse: Multiverse, universe: Universe) -> pd.DataFrame:
    """One row per test: the reading, and the verdict on the claim under it. Raises UserError."""
    tests = multiverse.tests(universe)
    specs = by_id((spec for test in tests for spec in test.specs.values()), f"reading {universe.name}")
    parsed = [evidence.ClaimTest.parse(test.request) for test in tests]
    with progress(f"reading {universe.name}", len(specs), "runs") as advance:
        runs = _trained(specs, _read_by(parsed), advance)
    rows = marks.verdicts(evidence.evidence(parsed, runs.__getitem__))
    taken = {f"choice:{name}": value for name, value in universe.taken.items()}
    about = {"reading": universe.name, "kind": universe.kind, "size": universe.size, **taken}
    return pd.concat(
        [
            pd.DataFrame([about | {"study": test.study} for test in tests]),
            rows[KEPT].reset_index(drop=True),
        ],
        axis=1,
    )


def _read_by(tests: Iterable[evidence.ClaimTest]) -> dict[str, set[str]]:
    """The quantities that tests read of each run, by its id."""
    read: dict[str, set[str]] = {}
    for test in tests:
        if isinstance(test.claim, Tested):
            for name in (*test.runs, *test.against):
                read.setdefault(name, set()).update(quantities_of(test.claim))
    return read


def _trained(
    specs: Mapping[str, RunSpec], read: Mapping[str, set[str]], advance: Callable[[int], None]
) -> dict[str, Run]:
    """Train the runs, those on the same problem together, and measure only what is read of them."""
    drawn = cache(allocations.draw)  # many runs share an allocation
    alike: dict[str, list[str]] = {}
    for name, spec in specs.items():
        alike.setdefault(spec.problem.model_dump_json(), []).append(name)
    runs = {}
    for names in alike.values():
        group = [specs[name] for name in names]
        lists = [drawn(spec.allocation_spec) for spec in group]
        measured = train_alike(group, lists, [read[name] for name in names])
        for name, spec, each, allocation in zip(names, group, measured, lists, strict=True):
            runs[name] = of_measurements(spec, each, allocation)
            advance(1)
    return runs
