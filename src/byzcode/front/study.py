"""Train a study, as the workflow does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from byzcode.cli import pages, tables
from byzcode.errors import UserError
from byzcode.execution.batches import Shown
from byzcode.front import train
from byzcode.front.progress import shown
from byzcode.specs.allocation import AllocationSpec
from byzcode.storage import allocations, trajectories
from byzcode.storage.layout import STAGES, allocation, trajectory
from byzcode.studies.plan import load_plan

if TYPE_CHECKING:
    import pandas as pd
    import xarray


class Run(NamedTuple):
    """A run of a curve: its place on the grid, by key, and what was measured."""

    point: Mapping[str, Any]
    data: xarray.Dataset


@dataclass(frozen=True)
class Trained:
    """A study that is trained: its runs by the label of their curve, its summary, and its figures by name.

    ``summary`` has a row per run, with plateau, rate and cost over its seeds; None if nothing is trained. ``figures``
    are the paths of the pictures; pdf, svg and the plotted numbers lie beside them.
    """

    name: str
    curves: Mapping[str, list[Run]]
    summary: pd.DataFrame | None
    figures: Mapping[str, Path]


def study(
    path: str | os.PathLike[str],
    *,
    results: str | os.PathLike[str] = "results",
    device: str = "cpu",
    threads: int = 1,
    progress: bool | None = None,
) -> Trained:
    """Train what is missing of a study, one run after another, and draw its figures.

    The files of ``results`` are those of the workflow: a run that is stored there and current is not trained again, in
    whatever way it was made. Both paths lie in the current folder. What a study leaves open is as in the primary
    reading. Parts that were registered may be named; other processes, such as Snakemake, do not know them, so give such
    a study a folder of its own. Claims are not tested: the workflow does. Raises UserError.
    """
    file = _relative(path, "path")
    plan = load_plan({"studies": [file], "results": _relative(results, "results")}, file)
    if len(plan.studies) != 1:
        raise UserError(f"study: {file}: names {len(plan.studies)} studies; allowed: one")
    ((name, planned),) = plan.studies.items()
    folder = Path(plan.config.results)
    for spec in plan.runs.values():
        train.check(spec, device, threads, "study")
    for name_of_lists, lists in plan.allocations.items():
        _ensure(lists, allocation(folder, name_of_lists))
    for number, (run, spec) in enumerate(plan.runs.items(), start=1):
        bar = _numbered(shown(progress), f"run {number} of {len(plan.runs)}")
        train.ensure(spec, trajectory(folder, run), device, threads, bar)
    summary = _summary(planned.summary_json(), folder, name) if planned.trained else None
    figures = {}
    for plot in planned.study.plots:
        stem = folder / STAGES["figure"].folder / f"{name}-{plot}"
        pages.figure(planned.figure_json(plot), folder, stem)
        figures[plot] = stem.with_name(f"{stem.name}.png")
    curves: dict[str, list[Run]] = {}
    for curve, spec, point in planned.members if planned.trained else ():
        data = trajectories.open(trajectory(folder, spec.run_id), spec)
        curves.setdefault(curve.label, []).append(Run(point, data))
    return Trained(name, curves, summary, figures)


def _numbered(bar: Shown, place: str) -> Shown:
    """A bar whose label says which of the runs is trained."""
    return lambda label, total: bar(f"{label}, {place}", total)


def _summary(request: str, folder: Path, name: str) -> pd.DataFrame:
    import pandas as pd

    table = STAGES["summarise"].table(folder, name)
    tables.summarise(request, folder, table)
    return pd.read_csv(table, dtype={"run_id": str})


def _ensure(spec: AllocationSpec, path: Path) -> None:
    """Store an allocation unless its file is current."""
    try:
        current = allocations.load(path, spec).attributes["engine_digest"] == allocations.engine_digest(spec)
    except UserError:
        current = False
    if not current:
        allocations.write(spec, path)


def _relative(given: str | os.PathLike[str], key: str) -> str:
    """A path, relative to the current folder if it lies in it."""
    path = train.path_of(given, "study", key)
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_absolute() and path.is_relative_to(here) else str(path)
