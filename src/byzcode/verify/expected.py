"""List all files that the workflow makes for a configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from byzcode.fetch import request_of, sheets_of
from byzcode.multiverse.plan import Multiverse, joint_request
from byzcode.provenance.content import canonical, long_hash, short_hash
from byzcode.specs import parts
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.run import RunSpec
from byzcode.storage import layout
from byzcode.storage.inputs import read_by
from byzcode.storage.layout import STAGES
from byzcode.studies.gallery import gallery_json
from byzcode.studies.plan import Plan

#: Shows progress: takes a label, the number of steps and their unit.
Progress = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Item:
    """The output of a job: a NetCDF file, whose name is the hash of its spec, or files with a list of checksums."""

    stage: str
    name: str
    path: Path  # the NetCDF file, or the list
    request: str  # the hash of the spec, or of the request in the list
    files: tuple[str, ...] = ()  # the files in the list
    inputs: tuple[Path, ...] = ()  # the files that the job reads
    spec: RunSpec | AllocationSpec | None = None  # of a NetCDF file
    entries: tuple[str, ...] = ()  # the components that the job uses

    @property
    def kind(self) -> str:
        """Its row in the report."""
        return STAGES[self.stage].kind

    @property
    def paths(self) -> list[Path]:
        """All its files."""
        return [*(self.path.with_name(name) for name in self.files), self.path]

    @property
    def parts(self) -> dict[str, str]:
        """The hashes of the present code that makes it, by source."""
        return STAGES[self.stage].parts(self.entries)

    @property
    def code(self) -> str:
        """The digest of that code."""
        return STAGES[self.stage].digest(self.entries)


def expected(
    plan: Plan, results: Path, progress: Progress, *, multiverse: Multiverse | bool | None = None
) -> list[Item]:
    """The expected items in ``results``; by default, those of the multiverse only if its folder exists.

    With True the multiverse is loaded, which takes seconds.

    Raises UserError if the multiverse is included and its configuration is wrong.
    """
    items = [*_data(plan, results), *_netcdf(plan, results), *_tables(plan, results)]
    wanted = (results / STAGES["multiverse"].folder).exists() if multiverse is None else multiverse
    if not wanted:
        return items
    return items + _multiverse(
        multiverse if isinstance(multiverse, Multiverse) else Multiverse.load(plan), results, progress
    )


def _data(plan: Plan, results: Path) -> Iterator[Item]:
    """The data sets that are there. Only trainings need them, so none is expected."""
    for name in plan.data_sets:
        path = STAGES["data"].path(results, name)
        if path.exists():
            yield Item("data", name, path, short_hash(canonical(request_of(name))), sheets_of(name))


def _netcdf(plan: Plan, results: Path) -> Iterator[Item]:
    allocations = {spec.allocation_spec.allocation_id for spec in plan.runs.values()}
    for planned in [] if plan.held_out else plan.studies.values():
        for plot, about in planned.study.plots.items():
            allocations |= set(planned.allocation_ids(plot)) if about.kind == "allocation" else set()
    for name in sorted(allocations):
        yield _stored("allocate", name, plan.allocations[name], results)
    for name, spec in plan.runs.items():
        allocation = layout.allocation(results, spec.allocation_spec.allocation_id)
        yield _stored("train", name, spec, results, allocation)


def _stored(stage: str, name: str, spec: RunSpec | AllocationSpec, results: Path, *inputs: Path) -> Item:
    path = STAGES[stage].path(results, name)
    entries = parts.of_run(spec) if isinstance(spec, RunSpec) else parts.of_allocation(spec)
    return Item(stage, name, path, long_hash(spec.canonical()), (), inputs, spec, tuple(entries))


def _tables(plan: Plan, results: Path) -> Iterator[Item]:
    for name in plan.summarised:
        yield _listed("summarise", name, plan.studies[name].summary_json(), results)
    for name, (planned, plot) in plan.figures.items():
        yield _listed("figure", name, planned.figure_json(plot), results)
    for name, planned in plan.claimed.items():
        yield _listed("claims", name, planned.claims_json(), results)
    if plan.held_out and plan.claimed:
        yield _listed("heldout", "heldout", plan.heldout_json(), results)
    elif plan.claimed:
        yield _listed("scorecard", "scorecard", plan.scorecard_json(), results)
    if not plan.held_out:
        yield _listed("gallery", "index", gallery_json(plan), results)


def _multiverse(multiverse: Multiverse, results: Path, progress: Progress) -> list[Item]:
    requests = {}
    with progress("tests of the readings", len(multiverse.universes), "readings") as advance:
        for name in multiverse.universes:
            requests[name] = multiverse.request(name)
            advance(1)
    items = [
        replace(
            _listed("reading", name, request, results), entries=tuple(multiverse.entries(multiverse.universes[name]))
        )
        for name, request in requests.items()
    ]
    return [*items, _listed("multiverse", "multiverse", joint_request(requests), results)]


def _listed(stage: str, name: str, request: str, results: Path) -> Item:
    about = STAGES[stage]
    content = json.loads(request)
    read, entries = tuple(read_by(stage, content, results)), tuple(content.get("entries", ()))
    return Item(stage, name, about.path(results, name), short_hash(request), about.files(name), read, entries=entries)
