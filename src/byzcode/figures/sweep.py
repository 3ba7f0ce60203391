"""The plateau of a quantity against a key of a RunSpec, and below it the cost of reaching that plateau."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from byzcode.errors import UserError, complain
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Curve, Facets, Request, distinct, in_order, only_run
from byzcode.figures.scale import Positions, extent, log_y, window
from byzcode.figures.style import (
    CROSS,
    INK,
    QUANTITIES,
    axis_words,
    level_words,
    line_style,
    literal,
    marker_style,
)
from byzcode.figures.words import level_in_words, seeds_of, sentence
from byzcode.studies.study import SweepPlot

_COST = "gradients_computed_to_plateau"
#: Curves stand apart by so much of the axis, at most, and by so much of the room between two values.
_NUDGE, _CROWD = 0.012, 0.6


@dataclass(frozen=True)
class Point:
    """A run of a curve at a value of x; ``x`` is None for a curve that does not vary with it."""

    curve: Curve
    x: Any
    run: str
    row: pd.Series[Any]

    def median(self, quantity: str) -> float:
        """The median over seeds; infinite where half of them never got there."""
        return float(self.row[f"{quantity}_median"])

    def quartiles(self, quantity: str) -> tuple[float, float]:
        """The quartiles over seeds."""
        return float(self.row[f"{quantity}_q25"]), float(self.row[f"{quantity}_q75"])

    @property
    def settled(self) -> bool:
        """Whether every seed has reached its plateau."""
        return bool(self.row["at_plateau"] >= self.row["seeds"])

    @property
    def diverged(self) -> bool:
        """Whether the run counts as diverged: its median is infinite."""
        return bool(2 * self.row["diverged"] >= self.row["seeds"])


@dataclass(frozen=True)
class Panel:
    """The two axes of a column, and what is drawn into both."""

    axes: dict[str, Axes]
    coordinates: dict[str, Any]
    points: list[Point]


def sweep(request: Request, results: Path) -> Drawing:
    """Draw ``kind: sweep``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, SweepPlot)
    path = results / "summaries" / f"{request.study}.csv"
    summary = _read(path, (plot.y, _COST))
    columns = Facets.of(request.curves, plot.columns)
    varying = [curve.label for curve in request.curves if curve.varies_with(plot.x)]

    def points(level: Any) -> list[Point]:
        found = []
        for curve in request.curves:
            here = [run for run in curve.runs if columns.holds(curve, run, level)]
            flat = bool(varying) and curve.label not in varying
            for x in [None] if flat else in_order(distinct(run.point[plot.x] for run in here)):
                run = only_run(curve, [run for run in here if flat or run.point[plot.x] == x], request.study)
                if run:
                    found.append(Point(curve, x, run.run, _row(summary, run.run, path)))
        return found

    page = Page(request, 2, len(columns.levels), sharex=True, sharey="row")
    panels = [
        Panel(dict(zip((plot.y, _COST), axes, strict=True)), columns.coordinates(level), points(level))
        for axes, level in zip(zip(*page.axes, strict=True), columns.levels, strict=True)
    ]
    places = Positions(plot.x, in_order(distinct(point.x for p in panels for point in p.points if point.x is not None)))
    limits = {}
    for quantity in (plot.y, _COST):
        limits[quantity] = _limits(panels, quantity)
        for panel in panels:
            log_y(panel.axes[quantity], *limits[quantity])
            places.dress(panel.axes[quantity])
            _draw(panel, quantity, places, request.curves, limits[quantity])
    _label(page, panels, plot)
    page.arrange(_legend(request, panels), _notes(panels, plot, limits[plot.y]))
    return Drawing(page, _table(panels, plot))


def _read(path: Path, quantities: Sequence[str]) -> pd.DataFrame:
    """The summary of a study, by run. Raises UserError."""
    needed = ["run_id", "seeds", "diverged", "at_plateau"]
    needed += [f"{quantity}_{part}" for quantity in quantities for part in ("median", "q25", "q75")]
    try:
        summary = pd.read_csv(path, dtype={"run_id": str})  # else 1234567890e1 were a number
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a summary: {error}") from None
    for column in needed:
        if column not in summary:
            raise complain(path, "column", column, "is not in it; make the summary anew")
    return summary.drop_duplicates("run_id").set_index("run_id")


def _row(summary: pd.DataFrame, run: str, path: Path) -> pd.Series[Any]:
    if run not in summary.index:
        raise complain(path, "run_id", run, "is not in it; make the summary anew")
    return summary.loc[run]


def _limits(panels: Sequence[Panel], quantity: str) -> tuple[float, float]:
    extents = []
    for label in distinct(point.curve.label for panel in panels for point in panel.points):
        own = [point for panel in panels for point in panel.points if point.curve.label == label]
        for point in own:
            medians = np.array([point.median(quantity)])
            if found := extent(medians, floor=point.curve.is_floor):
                extents.append(found)
    return window(extents)


def _draw(
    panel: Panel, quantity: str, places: Positions, curves: Sequence[Curve], limits: tuple[float, float]
) -> None:
    moving = [curve.label for curve in curves if any(p.x is not None and p.curve is curve for p in panel.points)]
    for rank, curve in enumerate(curves):
        own = [point for point in panel.points if point.curve is curve]
        if curve.label in moving:
            step = min(_NUDGE, _CROWD * places.closest / len(moving))
            _draw_moving(panel.axes[quantity], own, quantity, places, step * (moving.index(curve.label) - (len(moving) - 1) / 2), limits)
        else:
            for point in own:
                _draw_flat(panel.axes[quantity], point, quantity, (rank + 0.5) / len(curves), limits)
