"""The points of a sweep: the rows of a study's summary, by curve and value of a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from byzcode.analysis.spread import Spread
from byzcode.errors import UserError, complain
from byzcode.figures.request import Curve, Facets, Request, Run, distinct, in_order, only_run
from byzcode.specs.last_part import NO_LEVEL
from byzcode.storage import checksums
from byzcode.studies.plots import SweepPlot
from byzcode.studies.study import LineStyle
from byzcode.training.status import ENDINGS, Status, most_frequent

COST = "gradients_computed_to_plateau"


@dataclass(frozen=True)
class Point:
    """A run of a curve at a value of x; ``x`` is None for a curve that does not vary with it."""

    curve: Curve
    x: Any
    run: Run
    row: pd.Series[Any]
    measured: Spread | None = None  # the place on the x axis, if it is a measured quantity

    @property
    def place(self) -> Any:
        """The value on the x axis: that of x, or the median over seeds of the measured quantity."""
        return self.x if self.measured is None else float(self.measured.median)

    @property
    def is_placed(self) -> bool:
        """Whether it has a place on the x axis: a point of a line across the panel needs none."""
        return self.x is None or self.measured is None or bool(np.isfinite(self.measured.median))

    @property
    def style(self) -> LineStyle:
        """The style of the run."""
        return self.run.style

    def median(self, quantity: str) -> float:
        """The median over seeds; infinite if at least half of them never reached it."""
        return float(self.row[f"{quantity}_median"])

    def quartiles(self, quantity: str) -> tuple[float, float]:
        """The quartiles over seeds."""
        return float(self.row[f"{quantity}_q25"]), float(self.row[f"{quantity}_q75"])

    @property
    def settled(self) -> bool:
        """Whether every seed has reached its plateau."""
        return bool(self.row["at_plateau"] >= self.row["seeds"])

    @property
    def ended(self) -> dict[Status, int]:
        """The number of seeds that ended early, by status."""
        return {ending: int(self.row[ending.word]) for ending in ENDINGS}

    @property
    def ending(self) -> Status:
        """The most frequent early ending, if at least half of the seeds ended early; else FINISHED."""
        early = 2 * sum(self.ended.values()) >= self.row["seeds"]
        return most_frequent(self.ended) if early else Status.FINISHED

    def is_measured(self, quantity: str) -> bool:
        """Whether the quantity was measured (not NaN). Infinite: at least half of the seeds never reached it."""
        return not np.isnan(self.median(quantity))

    @property
    def moves(self) -> bool:
        """Whether some of its seeds had not reached a plateau, and fewer than half ended early."""
        return not self.settled and self.ending is Status.FINISHED


@dataclass(frozen=True)
class Panel:
    """The axes of a column, by quantity, and the points to draw in them."""

    axes: dict[str, Axes]
    levels: dict[str, Any]  # the level of the columns, by field of the plot
    points: list[Point]


@dataclass(frozen=True)
class Summary:
    """The summary of a study, by run."""

    path: Path
    rows: pd.DataFrame

    @classmethod
    def read(cls, path: Path, quantities: Sequence[str], request: str | None) -> Summary:
        """Read a stored summary that was made for the request of this hash. Raises UserError."""
        needed = ["run_id", "seeds", *(ending.word for ending in ENDINGS), "at_plateau"]
        needed += [f"{quantity}_{part}" for quantity in quantities for part in ("median", "q25", "q75")]
        try:
            content = checksums.checked(path, "summarise", request)
            rows = pd.read_csv(content, dtype={"run_id": str})  # a run_id such as 1234567890e1 is not a number
        except ValueError as error:
            raise UserError(f"{path}: not a summary: {error}") from None
        for column in needed:
            if column not in rows:
                raise complain(path, "column", column, "is missing; summarise the study again")
        return cls(path, rows.drop_duplicates("run_id").set_index("run_id"))

    def row(self, run: str) -> pd.Series[Any]:
        """The row of a run. Raises UserError if it is missing or has no level."""
        if run not in self.rows.index:
            raise complain(self.path, "run_id", run, "is missing; summarise the study again")
        row: pd.Series[Any] = self.rows.loc[[run]].iloc[0]
        if isinstance(reason := row.get(NO_LEVEL), str):
            raise complain(self.path, "run_id", run, f"has no level: {reason}")
        return row


def points_of(request: Request, columns: Facets, level: Any, summary: Summary) -> list[Point]:
    """The points of one column of a sweep."""
    plot, points = request.plot, []
    assert isinstance(plot, SweepPlot)
    varying = [curve.label for curve in request.curves if curve.varies_with(plot.x)]
    for curve in request.curves:
        runs = [run for run in curve.runs if columns.holds(curve, run, level)]
        flat = curve.label not in varying and (bool(varying) or all(run.point[plot.x] is None for run in runs))
        for x in [None] if flat else in_order(distinct(run.point[plot.x] for run in runs)):
            run = only_run(curve, [run for run in runs if flat or run.point[plot.x] == x], request.study)
            if run:
                points.append(Point(curve, x, run, summary.row(run.run)))
    return points


def quantities_of(plot: SweepPlot) -> tuple[str, ...]:
    """The quantities to draw, from top to bottom."""
    return (plot.y, COST) if plot.cost else (plot.y,)


def beyond(point: Point, quantity: str, limits: tuple[float, float]) -> bool:
    """Whether a measured, finite median lies beyond the panel and could be marked on its edge."""
    median = point.median(quantity)
    missing = quantity == COST and median == 0  # there is no plateau to reach
    return bool(np.isfinite(median)) and not missing and not limits[0] <= median <= limits[1]
