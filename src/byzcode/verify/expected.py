"""What a configuration asks for: every file that the workflow makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from byzcode.multiverse.plan import Multiverse
from byzcode.studies.identity import canonical, short_hash
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

    @property
    def paths(self) -> list[Path]:
        """All its files."""
        return [*(self.path.with_name(name) for name in self.files), self.path]


def expected(plan: Plan, results: Path, progress: Progress) -> list[Item]:
    """What a configuration asks for, in ``results``. Of the multiverse only where some of it is there.

    Raises UserError where the multiverse is there and its configuration is wrong.
    """
    items = [*_netcdf(plan, results), *_tables(plan, results)]
    return items + (_multiverse(plan, results / "multiverse", progress) if (results / "multiverse").exists() else [])


def _netcdf(plan: Plan, results: Path) -> Iterator[Item]:
    held = {spec.allocation_spec.allocation_id for spec in plan.runs.values()}
    for planned in plan.studies.values():
        for plot, about in planned.study.plots.items():
            held |= set(planned.allocation_ids(plot)) if about.kind == "allocation" else set()
    for name in sorted(held):
        yield Item("allocations", "allocate", name, results / "allocations" / f"{name}.nc")
    for name in plan.runs:
        yield Item("trajectories", "train", name, results / "trajectories" / f"{name}.nc")


def _tables(plan: Plan, results: Path) -> Iterator[Item]:
    for name, planned in plan.studies.items():
        if planned.trained:
            yield _listed("summaries", "summarise", results / "summaries" / name, planned.summary_json())
    for name, (planned, plot) in plan.figures.items():
        yield _listed("figures", "figure", results / "figures" / name, planned.figure_json(plot), PICTURE)
    claimed = {name: planned for name, planned in plan.studies.items() if planned.cells}
    for name, planned in claimed.items():
        yield _listed("claims", "claims", results / "claims" / name, planned.claims_json())
    if claimed:
        request = canonical({"studies": list(claimed), "reading": plan.reading.title})
        yield _listed("scorecard", "scorecard", results / "scorecard", request, ("csv", "html"))


def _multiverse(plan: Plan, folder: Path, progress: Progress) -> list[Item]:
    found = Multiverse.load(plan)
    items = []
    with progress("what each reading asks", len(found.universes), "readings") as advance:
        for name in found.universes:
            items.append(_listed("readings", "reading", folder / "readings" / name, found.request(name)))
            advance(1)
    files = (*(f"{name}.csv" for name in MULTIVERSE), *(f"multiverse.{suffix}" for suffix in PICTURE))
    request = short_hash(canonical({"readings": list(found.universes)}))
    return [*items, Item("multiverse", "multiverse", "multiverse", folder / "multiverse.sha256", files, request)]


def _listed(kind: str, stage: str, stem: Path, request: str, suffixes: tuple[str, ...] = ("csv",)) -> Item:
    files = tuple(f"{stem.name}.{suffix}" for suffix in suffixes)
    return Item(kind, stage, stem.name, stem.with_name(f"{stem.name}.sha256"), files, short_hash(request))
