"""The points of a figure of bounds: a run with its measured floor and the bounds that apply to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from byzcode.analysis.spread import Spread, spread
from byzcode.figures.request import Curve, Run
from byzcode.storage import trajectories
from byzcode.studies.names import BoundName
from byzcode.studies.study import LineStyle
from byzcode.theory.bounds import bounds as bounds_of
from byzcode.theory.bounds import floor, floor_bound
from byzcode.training.status import Status, counts, most_frequent


class Above(NamedTuple):
    """A bound over the seeds, and its ratio to the measured floor."""

    bound: Spread
    ratio: Spread


@dataclass(frozen=True)
class Point:
    """A run at a value of x, with its measured floor and the bounds that apply to it."""

    curve: Curve
    x: Any
    run: Run
    status: NDArray[np.int8]
    measured: Spread
    above: dict[BoundName, Above]

    @property
    def style(self) -> LineStyle:
        """The style of the run."""
        return self.run.style

    @property
    def floor(self) -> float:
        """The measured median."""
        return float(self.measured.median)

    def is_beyond(self, limits: tuple[float, float]) -> bool:
        """Whether the measured median is finite and outside the panel."""
        return bool(np.isfinite(self.floor)) and not limits[0] <= self.floor <= limits[1]

    @property
    def ending(self) -> Status:
        """The most frequent early end if at least half of the seeds ended early; else FINISHED."""
        return Status.FINISHED if np.isfinite(self.measured.median) else most_frequent(counts(self.status))


@dataclass(frozen=True)
class Panel:
    """The two axes of a column, and the points drawn into them."""

    upper: Axes
    lower: Axes
    levels: dict[str, Any]  # the level of the column, by field of the plot
    points: list[Point]


def read(curve: Curve, x: Any, run: Run, path: Path, wanted: Sequence[BoundName]) -> Point:
    """The point of a stored run, with the ``wanted`` bounds as far as they apply. Raises UserError."""
    stored = trajectories.load(path, run.run)
    spec, dataset = stored.spec, stored.dataset()
    above: dict[BoundName, Above] = {}
    with np.errstate(all="ignore"):  # a bound of huge values is infinite, and a ratio to 0 is undefined
        measured, known = floor(spec, dataset), bounds_of(spec, dataset)
        for name in wanted:
            bound = floor_bound(spec, dataset, known[name].error) if name in known else np.full(len(measured), np.nan)
            if not np.isnan(bound[~np.isnan(measured)]).any():  # else the bound is not known at the end of training
                above[name] = Above(spread(bound), spread(bound / measured))
    return Point(curve, x, run, dataset["status"].to_numpy(), spread(measured), above)
