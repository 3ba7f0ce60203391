"""A sweep against a measured quantity: the place of each point, its words and its columns in the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from byzcode.analysis.spread import Spread, spread
from byzcode.figures.scale import Measured
from byzcode.figures.style import QUANTITIES
from byzcode.figures.sweep_points import Point
from byzcode.figures.variance import over_training
from byzcode.figures.words import named, sentence
from byzcode.storage import trajectories
from byzcode.storage.layout import trajectory
from byzcode.studies.plots import SweepPlot

_WORDS = {"start": "{} at the start", "training": "mean {} over the training"}


def placed(points: Sequence[Point], plot: SweepPlot, results: Path) -> list[Point]:
    """The points, each at the value of the measured quantity in its run. Raises UserError."""
    if plot.measured is None:
        return list(points)
    quantity = plot.measured

    @cache
    def read(run: str) -> Spread:
        dataset = trajectories.load(trajectory(results, run), run).dataset()
        values = dataset[quantity].to_numpy()
        if plot.measured_at == "start":
            return spread(values[:, 0])
        return spread(over_training(values, dataset["iteration"].to_numpy()))

    return [replace(point, measured=read(point.run.run)) for point in points]


def along(point: Point) -> float:
    """The order of points along an axis of a measured quantity; points on another axis keep theirs."""
    return 0.0 if point.measured is None else float(np.nan_to_num(point.measured.median, nan=np.inf))


def axis_of(points: Sequence[Point], plot: SweepPlot) -> Measured:
    """The axis on which all finite medians and quartiles are seen."""
    spreads = [point.measured for point in points if point.measured is not None]
    return Measured(plot.x, [float(end) for each in spreads if np.isfinite(each.median) for end in each])


def label(plot: SweepPlot) -> str:
    """The label of the axis."""
    assert plot.measured is not None
    return _WORDS[plot.measured_at].format(QUANTITIES[plot.measured].words)


def draw_range(axes: Axes, point: Point, height: float) -> None:
    """Draw the bar between the quartiles of a point's place, at the height of its median."""
    if point.measured is None or not np.isfinite(height):
        return
    low, high = axes.get_xlim()
    ends = [float(np.clip(end, low, high)) for end in (point.measured.low, point.measured.high)]
    axes.plot(ends, [height, height], color=point.style.color, linewidth=1.0, alpha=0.8, zorder=2.1)


def notes(points: Sequence[Point], plot: SweepPlot, key: str) -> list[str]:
    """Where the points are, and which have no place. ``key`` is the key of x, as the figure names it."""
    if plot.measured is None:
        return []
    everything = [(point.curve.label, point.x) for point in points]
    nowhere = [(point.curve.label, point.x) for point in points if not point.is_placed]
    return [
        f"On the x axis: the measured {label(plot)}; median over seeds. Horizontal bars: its interquartile range.",
        *sentence("Not measured on the x axis, so not drawn", named(nowhere, everything, key)),
    ]


def columns(point: Point) -> dict[str, Any]:
    """The columns of the table for the place of a point; none if it is that of x."""
    if point.measured is None:
        return {}
    return {f"x_{name}": float(value) for name, value in zip(("median", "q25", "q75"), point.measured, strict=True)}
