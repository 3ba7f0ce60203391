"""What a configuration asks for: every file that the workflow makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from byzcode.multiverse.plan import Multiverse, together
from byzcode.provenance.content import short_hash
from byzcode.storage.inputs import read_by
from byzcode.studies.plan import Plan

#: The tables of all readings together.
MULTIVERSE = ("claims", "choices", "tree", "sizes", "stated")
PICTURE = ("csv", "pdf", "png", "svg")

#: Shows how many of so many steps are done, under a label.
Progress = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Item:
    """What one job makes: a NetCDF file, whose name is the hash of its spec, or files with their list of checksums."""

    kind: str  # a row of the report
    stage: str
    name: str
    path: Path  # the NetCDF file, or the list
    files: tuple[str, ...] = ()  # what the list lists
    request: str = ""  # the hash of what was asked, in the list
    inputs: tuple[Path, ...] = ()  # what the job reads

    @property
    def paths(self) -> list[Path]:
        """All its files."""
        return [*(self.path.with_name(name) for name in self.files), self.path]


def expected(plan: Plan, results: Path, progress: Progress, *, multiverse: bool | None = None) -> list[Item]:
    """What a configuration asks for, in ``results``; with the ``multiverse`` by default where some of it is there.

    Raises UserError where the multiverse is asked for and its configuration is wrong.
    """
    items = [*_netcdf(plan, results), *_tables(plan, results)]
    wanted = (results / "multiverse").exists() if multiverse is None else multiverse
    return items + (_multiverse(plan, results, progress) if wanted else [])


def _netcdf(plan: Plan, results: Path) -> Iterator[Item]:
    held = {spec.allocation_spec.allocation_id for spec in plan.runs.values()}
    for planned in plan.studies.values():
        for plot, about in planned.study.plots.items():
            held |= set(planned.allocation_ids(plot)) if about.kind == "allocation" else set()
    for name in sorted(held):
        yield Item("allocations", "allocate", name, results / "allocations" / f"{name}.nc")
    for name, spec in plan.runs.items():
        allocation = results / "allocations" / f"{spec.allocation_spec.allocation_id}.nc"
        yield Item("trajectories", "train", name, results / "trajectories" / f"{name}.nc", inputs=(allocation,))


def _tables(plan: Plan, results: Path) -> Iterator[Item]:
    for name, planned in plan.studies.items():
        if planned.trained:
            yield _listed("summaries", "summarise", results / "summaries" / name, planned.summary_json(), results)
    for name, (planned, plot) in plan.figures.items():
        yield _listed("figures", "figure", results / "figures" / name, planned.figure_json(plot), results, PICTURE)
    for name, planned in plan.claimed.items():
        yield _listed("claims", "claims", results / "claims" / name, planned.claims_json(), results)
    if plan.claimed:
        yield _listed("scorecard", "scorecard", results / "scorecard", plan.scorecard_json(), results, ("csv", "html"))


def _multiverse(plan: Plan, results: Path, progress: Progress) -> list[Item]:
    folder = results / "multiverse"
    found = Multiverse.load(plan)
    requests = {}
    with progress("what each reading asks", len(found.universes), "readings") as advance:
        for name in found.universes:
            requests[name] = found.request(name)
            advance(1)
    files = (*(f"{name}.csv" for name in MULTIVERSE), *(f"multiverse.{suffix}" for suffix in PICTURE))
    request = short_hash(together(requests))
    items = [
        _listed("readings", "reading", folder / "readings" / name, asked, results) for name, asked in requests.items()
    ]
    path, read = folder / "multiverse.sha256", tuple(item.path for item in items)
    return [*items, Item("multiverse", "multiverse", "multiverse", path, files, request, read)]


def _listed(
    kind: str, stage: str, stem: Path, request: str, results: Path, suffixes: tuple[str, ...] = ("csv",)
) -> Item:
    files = tuple(f"{stem.name}.{suffix}" for suffix in suffixes)
    read = tuple(read_by(stage, json.loads(request), results))
    return Item(kind, stage, stem.name, stem.with_name(f"{stem.name}.sha256"), files, short_hash(request), read)
