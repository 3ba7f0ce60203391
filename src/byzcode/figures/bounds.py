"""The squared gradient norm where training ends, beside its bounds, and how many times it they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from byzcode import trajectory
from byzcode.analysis.spread import Spread, spread
from byzcode.bounds import bounds as bounds_of
from byzcode.bounds import floor, floor_bound
from byzcode.figures.edge import Edge
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Curve, Facets, Request, distinct, in_order, only_run
from byzcode.figures.scale import Positions, extent, log_y, window
from byzcode.figures.style import (
    BOUNDS,
    INK,
    axis_words,
    level_words,
    line_style,
    literal,
    mark_legend,
    mark_style,
    marker_style,
)
from byzcode.figures.words import named, seeds_of, sentence, with_ending
from byzcode.status import ENDINGS, Status, counts, most_frequent
from byzcode.studies.names import BoundName
from byzcode.studies.spec import RunSpec
from byzcode.studies.study import BoundsPlot

#: Curves stand apart by so much of the axis.
_NUDGE = 0.012


class Above(NamedTuple):
    """A bound over the seeds, and how many times the measured floor it is."""

    bound: Spread
    ratio: Spread


@dataclass(frozen=True)
class Point:
    """A run at a value of x: its floor, and the bounds that apply to it."""

    curve: Curve
    x: Any
    run: str
    status: NDArray[np.int8]
    measured: Spread
    above: dict[BoundName, Above]

    @property
    def ending(self) -> Status:
        """What ended most seeds, where half of them or more ended early; else FINISHED."""
        return Status.FINISHED if np.isfinite(self.measured.median) else most_frequent(counts(self.status))


@dataclass(frozen=True)
class Panel:
    """The two axes of a column, and what is drawn into them."""

    upper: Axes
    lower: Axes
    coordinates: dict[str, Any]
    points: list[Point]


def bounds(request: Request, results: Path) -> Drawing:
    """Draw ``kind: bounds``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, BoundsPlot)
    columns = Facets.of(request.curves, plot.columns)

    def points(level: Any) -> list[Point]:
        found = []
        for curve in request.curves:
            here = [run for run in curve.runs if columns.holds(curve, run, level)]
            for x in in_order(distinct(run.point[plot.x] for run in here)):
                run = only_run(curve, [run for run in here if run.point[plot.x] == x], request.study)
                assert run is not None  # x is one of theirs
                found.append(_read(curve, x, run.run, results / "trajectories" / f"{run.run}.nc", plot.bounds))
        return found

    page = Page(request, 2, len(columns.levels), aspect=0.6, sharex=True, sharey="row")
    panels = [
        Panel(upper, lower, columns.coordinates(level), points(level))
        for upper, lower, level in zip(*page.axes, columns.levels, strict=True)
    ]
    everything = [point for panel in panels for point in panel.points]
    places = Positions(plot.x, in_order(distinct(point.x for point in everything)))
    limits = _limits(everything)
    shown = [point for point in everything if point.measured.median >= limits[0] and point.ending is Status.FINISHED]
    ratios = [float(one.ratio.median) for point in shown for one in point.above.values()]
    highest = max([ratio for ratio in ratios if np.isfinite(ratio)], default=10.0)
    risen = 0.0
    for panel in panels:
        log_y(panel.upper, *limits)
        log_y(panel.lower, min([0.7, *ratios]), 1.5 * highest)
        panel.lower.axhline(1.0, color="black", linewidth=0.8)
        risen = max(risen, _draw(panel, request.curves, plot.bounds, places, limits))
        for axes in (panel.upper, panel.lower):
            places.dress(axes)
        panel.upper.set_ylabel("squared gradient norm\nover the last fifth", linespacing=0.95)
        panel.lower.set_ylabel("bound over\nmeasured", linespacing=0.95)
        panel.lower.set_xlabel(axis_words(plot.x))
        for axes in (panel.upper, panel.lower):
            axes.label_outer()
    for panel in panels:
        title = level_words(plot.columns, panel.coordinates.get(str(plot.columns)))
        panel.upper.set_title(title, pad=mpl.rcParams["axes.titlepad"] + risen)
    page.figure.align_ylabels()
    drawn = [name for name in plot.bounds if any(name in point.above for point in everything)]
    page.arrange(_legend(request.curves, drawn, everything), _notes(everything, plot.x, drawn, limits))
    return Drawing(page, _table(panels, limits[0]))


def _read(curve: Curve, x: Any, run: str, path: Path, wanted: Sequence[BoundName]) -> Point:
    dataset = trajectory.open(path, run)
    spec = RunSpec.from_json(dataset.attrs["spec"], path)
    measured, known = floor(spec, dataset), bounds_of(spec, dataset)
    above: dict[BoundName, Above] = {}
    for name in wanted:
        bound = floor_bound(spec, dataset, known[name].error) if name in known else np.full(len(measured), np.nan)
        if not np.isnan(bound[~np.isnan(measured)]).any():  # else it says nothing of the end of a training
            with np.errstate(divide="ignore", invalid="ignore"):
                above[name] = Above(spread(bound), spread(bound / measured))
    return Point(curve, x, run, dataset["status"].to_numpy(), spread(measured), above)


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """The limits of the upper axes, by the runs that have a bound: one that has none may be anywhere."""
    bounded = [point for point in points if point.above] or points
    drawn = [(point.measured, point.curve.is_floor) for point in bounded]
    drawn += [(one.bound, False) for point in bounded for one in point.above.values()]
    return window(found for one, low in drawn if (found := extent(np.atleast_1d(one.median), floor=low)))


def _draw(
    panel: Panel,
    curves: Sequence[Curve],
    names: Sequence[BoundName],
    places: Positions,
    limits: tuple[float, float],
) -> float:
    """Draw the curves of a column; returns how many points the marks on its upper edge rise above it."""
    labels, edge = [curve.label for curve in curves], Edge(panel.upper, limits[1])
    for curve in curves:
        own = [point for point in panel.points if point.curve.label == curve.label]
        nudge = _NUDGE * (labels.index(curve.label) - (len(labels) - 1) / 2)
        solid = line_style(curve.style) | {"linestyle": "-"}
        _line(panel.upper, [(places.at(point.x, nudge), point.measured) for point in own], solid, limits)
        for point in own:
            x = places.at(point.x, nudge)
            if point.ending is not Status.FINISHED:
                edge.mark(places.at(point.x, 0.0), mark_style(point.ending, curve.style.color))
            elif point.measured.median >= limits[0]:
                look = marker_style(curve.style) | {"linestyle": "none"}
                panel.upper.plot([x], [point.measured.median], **look, zorder=3)
        for name in names:
            look = {"color": curve.style.color, **BOUNDS[name].line}
            here = [(places.at(point.x, nudge), point, point.above[name]) for point in own if name in point.above]
            _line(panel.upper, [(x, one.bound) for x, _, one in here], look, limits)
            real = [(x, one.ratio) for x, point, one in here if point.measured.median >= limits[0]]
            _line(panel.lower, real, look, panel.lower.get_ylim())
    return edge.height


def _line(
    axes: Axes, values: Sequence[tuple[float, Spread]], look: dict[str, Any], limits: tuple[float, float]
) -> None:
    """Medians, joined, with a bar over the quartiles of each; what is not finite or below the panel is left out."""
    heights = np.array([float(value.median) for _, value in values])
    heights[~(np.isfinite(heights) & (heights > 0))] = np.nan
    axes.plot([x for x, _ in values], heights, **look, zorder=2)
    if len(values) == 1:
        axes.plot([values[0][0]], heights, color=look["color"], marker="_", markersize=7, linestyle="none", zorder=2)
    for (x, value), height in zip(values, heights, strict=True):
        if np.isfinite(height):
            low, high = np.clip([value.low, value.high], limits[0] * 1e-3, limits[1] * 1e3)
            axes.plot([x, x], [low, high], color=look["color"], linewidth=1.0, alpha=0.8, zorder=2.1)


def _legend(curves: Sequence[Curve], drawn: Sequence[BoundName], points: Sequence[Point]) -> list[Artist]:
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            **line_style(curve.style) | {"linestyle": "-"},
            **marker_style(curve.style),
            label=literal(_label(curve.label, points)),
        )
        for curve in curves
    ]
    handles += [Line2D([], [], color=INK, **BOUNDS[name].line, label=BOUNDS[name].words) for name in drawn]
    return handles + mark_legend(point.ending for point in points)


def _label(label: str, points: Sequence[Point]) -> str:
    own = [point.ending for point in points if point.curve.label == label]
    return label if Status.FINISHED in own else with_ending(label, own)


def _notes(points: Sequence[Point], key: str, drawn: Sequence[BoundName], limits: tuple[float, float]) -> list[str]:
    notes = [
        f"Markers: measured, median over {seeds_of(len(point.status) for point in points)}; bars: interquartile range. "
        "A bound on the error of the aggregate becomes one on the gradient by the descent of the loss."
    ]
    notes += [f"{BOUNDS[name].words.capitalize()}: {BOUNDS[name].meaning}." for name in drawn]
    everything = [(point.curve.label, point.x) for point in points]
    below = [(point.curve.label, point.x) for point in points if point.measured.median < limits[0]]
    notes += sentence("Below its panel, and no ratio", named(below, everything, key))
    finished = [point for point in points if point.ending is Status.FINISHED]
    beyond = [(point.curve.label, point.x) for point in finished if point.measured.median > limits[1]]
    notes += sentence("Above its panel", named(beyond, everything, key))
    for ending in ENDINGS:
        lost = [(point.curve.label, point.x) for point in points if point.ending is ending]
        why = "as the rule bears fewer liars" if ending is Status.UNDEFINED else "half of the seeds or more"
        notes += sentence(f"{ending.word.capitalize()}, {why}", named(lost, everything, key))
    without = [(point.curve.label, point.x) for point in finished if not point.above]
    return notes + sentence("No bound is known", named(without, everything, key))


def _table(panels: Sequence[Panel], bottom: float) -> pd.DataFrame:
    """What is drawn; where only rounding is left of the measured floor, no ratio."""

    def row(panel: Panel, point: Point, name: str, value: Spread, ratio: Spread | None) -> dict[str, Any]:
        return {
            **panel.coordinates,
            "curve": point.curve.label,
            "method": point.curve.method,
            "run": point.run,
            "x": point.x,
            "quantity": name,
            "median": float(value.median),
            "q25": float(value.low),
            "q75": float(value.high),
            "ratio_median": np.nan if ratio is None else float(ratio.median),
            "ratio_q25": np.nan if ratio is None else float(ratio.low),
            "ratio_q75": np.nan if ratio is None else float(ratio.high),
            "seeds": len(point.status),
            "ended": int((point.status != Status.FINISHED).sum()),
        }

    return pd.DataFrame(
        row(panel, point, name, value, ratio)
        for panel in panels
        for point in panel.points
        for name, value, ratio in [
            ("measured", point.measured, None),
            *(
                (name, one.bound, one.ratio if point.measured.median >= bottom else None)
                for name, one in point.above.items()
            ),
        ]
    )
