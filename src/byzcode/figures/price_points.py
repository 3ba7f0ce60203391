"""What each method reaches in its worst case, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.analysis.pareto import efficient
from byzcode.analysis.plateau import plateau
from byzcode.analysis.spread import Spread, spread
from byzcode.errors import UserError
from byzcode.figures.price_costs import costs_of
from byzcode.figures.request import Curve, Request, Run, distinct
from byzcode.specs.quantities import is_share
from byzcode.storage import trajectories
from byzcode.storage.layout import trajectory
from byzcode.studies.plots import PricePlot
from byzcode.training.status import Status, counts, most_frequent


class Stored(NamedTuple):
    """The level of a run over the last fifth of training, (R,), NaN for a seed that ended early; and its costs."""

    level: NDArray[np.float64]
    status: NDArray[np.int8]
    seeds: tuple[int, ...]
    costs: dict[str, float]


@dataclass(frozen=True)
class Point:
    """A curve at a value of ``hue``: for each seed the worst of its runs; its costs, and the place of the worst.

    ``hue`` is None if the runs of the curve do not vary with it.
    """

    curve: Curve
    hue: Any
    run: Run
    level: Spread
    ending: Status
    costs: dict[str, float]
    worst: Any
    seeds: int


def points_of(request: Request, plot: PricePlot, results: Path) -> list[Point]:
    """The points of a figure. Raises UserError if a run is missing, or if the runs of a point do not pair."""

    @cache
    def read(run: str) -> Stored:
        stored = trajectories.load(trajectory(results, run), run)
        spec, dataset = stored.spec, stored.dataset()
        status = dataset["status"].to_numpy()
        with np.errstate(all="ignore"):  # levels may be 0, infinite or NaN
            level = plateau(dataset[plot.y].to_numpy(), dataset["iteration"].to_numpy()).level
        finished = np.where(status == Status.FINISHED, level, np.nan)
        return Stored(finished, status, tuple(spec.seeds), costs_of(spec, dataset))

    def point(curve: Curve, hue: Any) -> Point:
        runs = [run for run in curve.runs if plot.hue is None or hue is None or run.point[plot.hue] == hue]
        return _worst(curve, hue, runs, [read(run.run) for run in runs], plot, request.study)

    return [point(curve, hue) for curve in request.curves for hue in _hues(curve, plot.hue)]


def _hues(curve: Curve, key: str | None) -> list[Any]:
    """The values of ``key`` that are points of their own; None alone if the runs do not vary with it."""
    return distinct(run.point[key] for run in curve.runs) if key and curve.varies_with(key) else [None]


def _worst(curve: Curve, hue: Any, runs: Sequence[Run], stored: Sequence[Stored], plot: PricePlot, study: str) -> Point:
    """The worst of some runs, seed by seed; a seed that ended early in any of them has ended."""
    if any(each.seeds != stored[0].seeds for each in stored):
        raise UserError(f"{study}: the runs of curve {curve.label!r} differ in their seeds, but kind price pairs them")
    more_is_better = is_share(plot.y)
    levels = np.stack([each.level for each in stored])
    ended = np.isnan(levels)
    lost = np.where(ended, np.inf, -levels if more_is_better else levels)
    worst = levels.min(axis=0) if more_is_better else levels.max(axis=0)
    status = np.stack([each.status for each in stored]).max(axis=0)
    early = counts(status)
    where = runs[int(np.argmax(np.median(lost, axis=1)))].point[plot.over]
    is_ended = 2 * sum(early.values()) >= len(worst)
    return Point(
        curve,
        hue,
        runs[0],
        spread(worst, more_is_better=more_is_better),
        most_frequent(early) if is_ended else Status.FINISHED,
        {name: max(each.costs[name] for each in stored) for name in stored[0].costs},
        where,
        len(worst),
    )


def front(points: Sequence[Point], cost: str, *, more_is_better: bool) -> list[Point]:
    """The points of the Pareto front of a cost, the cheapest first."""
    sign = -1.0 if more_is_better else 1.0
    chosen = efficient(
        [point.costs[cost] for point in points],
        [sign * float(point.level.median) if point.ending is Status.FINISHED else np.inf for point in points],
    )
    own = [point for point, keep in zip(points, chosen, strict=True) if keep]
    return sorted(own, key=lambda point: point.costs[cost])
