"""The lines of a figure of trajectories: the stored data of a run, and the part that a logarithmic axis can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from byzcode.analysis.spread import Spread, spread
from byzcode.figures.request import Curve, Run
from byzcode.figures.scale import SHARES, Extent, extent, window
from byzcode.figures.style import QUANTITIES
from byzcode.storage import trajectories
from byzcode.studies.names import BoundName
from byzcode.studies.plots import Measure, TrajectoryPlot
from byzcode.studies.study import LineStyle
from byzcode.theory.bounds import bounds
from byzcode.training.status import Status, counts, most_frequent

if TYPE_CHECKING:
    import xarray

    from byzcode.specs.run import RunSpec

#: The largest factor by which a panel extends above the start of its curves, and that for medians that become infinite.
_RISE, _RISE_ENDING = 100.0, 10.0


@dataclass(frozen=True)
class Stored:
    """The data of a trajectory file that a figure needs."""

    x: NDArray[np.float64]
    y: Spread
    measured: bool  # whether any seed has the quantity
    status: NDArray[np.int8]  # of each seed at the last iteration drawn
    since: NDArray[np.int64]  # the iteration at which each seed got its status
    ended: NDArray[np.int64]  # the number of seeds that have ended, at each x
    undefined: str | None  # why nothing was trained; None if something was
    bounds: dict[BoundName, NDArray[np.float64]]  # medians of the bounds to draw
    share: bool = False  # on a linear axis, where more is better

    @classmethod
    def read(cls, path: Path, run: str, plot: TrajectoryPlot, measure: Measure) -> Self:
        """Read what a plot needs of a run. Raises UserError."""
        stored = trajectories.load(path, run)
        return cls.of(stored.spec, stored.dataset(), plot, measure)

    @classmethod
    def of(cls, spec: RunSpec, dataset: xarray.Dataset, plot: TrajectoryPlot, measure: Measure) -> Self:
        """The same from a run in memory."""
        iteration = dataset["iteration"].to_numpy()
        kept = iteration <= (plot.last or np.inf)
        values = dataset[measure.y].to_numpy()[:, kept]
        x = np.broadcast_to(dataset[measure.x].to_numpy()[..., kept], values.shape).astype(float)
        # The cost of the seeds that still run, which hardly differ. Without any, nothing is drawn.
        cost = np.fmax.reduce(x, axis=0)
        since = dataset["status_at"].to_numpy()
        status = np.where(since <= iteration[kept][-1], dataset["status"].to_numpy(), Status.FINISHED)
        ended = ((status != Status.FINISHED)[:, None] & (since[:, None] <= iteration[kept])).sum(axis=0)
        with np.errstate(all="ignore"):  # a bound of huge or undefined values is itself infinite or undefined
            known = bounds(spec, dataset) if plot.overlay else {}
            overlay = {name: spread(known[name].error[:, kept]).median for name in plot.overlay or () if name in known}
        measured = not np.isnan(values).all()
        share = QUANTITIES[measure.y].share
        over = spread(values, more_is_better=share)
        return cls(cost, over, measured, status, since, ended, spec.undefined, overlay, share)

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return len(self.status)

    @property
    def ending(self) -> Status:
        """The most frequent early end if the median becomes infinite; else FINISHED."""
        return Status.FINISHED if np.isfinite(self.y.median[-1]) else most_frequent(counts(self.status))

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Where the axis can show the median."""
        shown: NDArray[np.bool_] = np.isfinite(self.y.median) & ((self.y.median > 0) | self.share)
        return shown

    @property
    def band(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The edges of the band between the quartiles. Where a quartile is infinite, the band ends at the median."""
        low, high = (np.where(np.isinf(edge), self.y.median, edge) for edge in (self.y.low, self.y.high))
        return low, high

    @property
    def is_cut(self) -> bool:
        """Whether a quartile is infinite where the median is visible."""
        return bool((np.isinf(self.y.low) | np.isinf(self.y.high))[self.visible].any())

    @property
    def end(self) -> float:
        """Where on the x axis the median becomes infinite; NaN if it does not, or from the start."""
        gone = np.flatnonzero(~np.isfinite(self.y.median))
        if not gone.size or gone[0] == 0:
            return float("nan")
        known = self.x[: gone[0] + 1]
        return float(known[np.isfinite(known)][-1])

    @property
    def is_line(self) -> bool:
        """Whether more than a single point is visible."""
        return int(self.visible.sum()) > 1

    def extent(self, *, floor: bool) -> Extent | None:
        """The range that the y axis should cover."""
        shown = extent(self.y.median, floor=floor)
        if shown is None:
            return None
        start = float(self.y.median[self.y.median > 0][0])
        rise = _RISE if self.ending is Status.FINISHED else _RISE_ENDING
        return shown._replace(high=min(shown.high, max(shown.low, start * rise)))


@dataclass(frozen=True)
class Line:
    """A run in a panel."""

    curve: Curve
    run: Run
    stored: Stored
    color: ColorType
    level: Any  # of the plot's hue; None if the curve does not vary with it

    @property
    def style(self) -> LineStyle:
        """The style of the run."""
        return self.run.style


@dataclass(frozen=True)
class Panel:
    """The lines drawn into one pair of axes."""

    axes: Axes
    measure: Measure
    row: int  # the index of the limits of its axes, which panels of a level of the rows and a measure share
    levels: Mapping[str, Any]  # the levels of its row and column, by field of the plot
    lines: list[Line]


class View(NamedTuple):
    """The limits of the axes of a row of panels."""

    start: float
    end: float
    bottom: float
    top: float
    share: bool = False

    @classmethod
    def of(cls, row: Sequence[Panel], panels: Sequence[Panel]) -> View:
        """The limits for a row of panels, of all ``panels`` that share their x axis.

        A curve that ends early sets no lower limit for the others.
        """
        measure = row[0].measure
        lines = [line for panel in row for line in panel.lines]
        steady = [line for line in lines if line.stored.ending is Status.FINISHED] or lines
        reached = [float(x) for panel in panels for line in panel.lines for x in line.stored.x if x > 0] or [1.0]
        start, end = 0.0 if measure.x == "iteration" else min(reached), max(reached)
        start = start if start < end else end / 10
        if QUANTITIES[measure.y].share:
            return cls(start, end, *SHARES, share=True)
        spans = [span for line in steady if (span := line.stored.extent(floor=line.run.is_floor))]
        bottom, _ = window(spans)
        bottom, top = window(span for span in spans if span.high >= bottom)  # no room for what is nowhere in the panel
        highest = [span.high for line in lines if (span := line.stored.extent(floor=False))]
        overlaid = [bound for line in steady for bound in line.stored.bounds.values()]
        highest += [span.high for bound in overlaid if (span := extent(bound))]
        return cls(start, end, bottom, max([top, *highest]))

    def shows(self, line: Line) -> bool:
        """Whether any part of a line is in the panel."""
        median, x = line.stored.y.median, line.stored.x
        inside = line.stored.visible & (median >= self.bottom) & (median <= self.top) & (x >= self.start)
        return bool(inside.any())
