"""The squared gradient norm at the end of training beside its bounds, and the ratios of the bounds to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from byzcode.analysis.spread import Spread
from byzcode.figures.bounds_points import Panel, Point, read
from byzcode.figures.bounds_words import legend, notes, table
from byzcode.figures.clip import arrowhead, bar, within
from byzcode.figures.edge import Edge
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Curve, Facets, Request, distinct, in_order, only_run
from byzcode.figures.scale import Extent, Positions, extent, log_y, window
from byzcode.figures.style import (
    BOUNDS,
    SOFT,
    axis_words,
    level_words,
    line_style,
    mark_style,
    marker_style,
)
from byzcode.storage.layout import trajectory
from byzcode.studies.names import BoundName
from byzcode.studies.plots import BoundsPlot
from byzcode.training.status import Status

#: The horizontal distance between curves, as a fraction of the axis.
_NUDGE = 0.012


_DASH: dict[str, Any] = {"marker": "_", "markersize": 7, "linestyle": "none", "zorder": 2}


#: If ratios span more than this factor, the axis is limited as for other quantities.
_WIDE = 1e100


def bounds(request: Request, results: Path) -> Drawing:
    """Draw ``kind: bounds``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, BoundsPlot)
    columns = Facets.of(request.curves, plot.columns)

    def points_at(level: Any) -> list[Point]:
        points = []
        for curve in request.curves:
            runs = [run for run in curve.runs if columns.holds(curve, run, level)]
            for x in in_order(distinct(run.point[plot.x] for run in runs)):
                run = only_run(curve, [run for run in runs if run.point[plot.x] == x], request.study)
                assert run is not None  # x comes from these runs
                points.append(read(curve, x, run, trajectory(results, run.run), plot.bounds))
        return points

    page = Page(request, 2, len(columns.levels), aspect=0.6, sharex=True, sharey="row")
    panels = [
        Panel(upper, lower, columns.level("columns", level), points_at(level))
        for upper, lower, level in zip(*page.axes, columns.levels, strict=True)
    ]
    everything = [point for panel in panels for point in panel.points]
    places = Positions(plot.x, in_order(distinct(point.x for point in everything)))
    limits = _limits(everything)
    ratios = [
        ratio
        for point in everything
        if point.floor >= limits[0] and point.ending is Status.FINISHED
        for above in point.above.values()
        if 0 < (ratio := float(above.ratio.median)) < np.inf
    ]
    low, high = min([0.7, *ratios]), 1.5 * max(ratios, default=10.0)
    if high > _WIDE * low:
        low, high = window([Extent(low, high)])
    risen = 0.0
    for panel in panels:
        log_y(panel.upper, *limits)
        log_y(panel.lower, low, high)
        panel.lower.axhline(1.0, color="black", linewidth=0.8)
        risen = max(risen, _draw(panel, request.curves, plot.bounds, places, limits))
        _note_empty(page, panel, limits)
        for axes in (panel.upper, panel.lower):
            places.dress(axes)
        panel.upper.set_ylabel("squared gradient norm\nover the last fifth", linespacing=0.95)
        panel.lower.set_ylabel("bound over\nmeasured", linespacing=0.95)
        panel.lower.set_xlabel(axis_words(request.shown(plot.x)))
        for axes in (panel.upper, panel.lower):
            axes.label_outer()
    for panel in panels:
        title = level_words(request.shown(plot.columns), panel.levels.get("columns"))
        panel.upper.set_title(title, pad=mpl.rcParams["axes.titlepad"] + risen)
    page.figure.align_ylabels()
    drawn = [name for name in plot.bounds if any(name in point.above for point in everything)]
    beside = notes(everything, request.shown(plot.x), drawn, limits)
    page.arrange(legend(request.curves, drawn, everything, limits), beside, places)
    return Drawing(page, table(panels, plot, limits[0]))


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """The limits of the upper axes, from the runs that have a bound; the others may lie anywhere."""
    bounded = [point for point in points if point.above] or points
    drawn = [(point.measured, point.run.is_floor) for point in bounded]
    drawn += [(above.bound, False) for point in bounded for above in point.above.values()]
    return window(span for values, low in drawn if (span := extent(np.atleast_1d(values.median), floor=low)))


def _draw(
    panel: Panel,
    curves: Sequence[Curve],
    names: Sequence[BoundName],
    places: Positions,
    limits: tuple[float, float],
) -> float:
    """Draw the curves of a column; returns by how many points the marks on its upper edge rise above it."""
    labels, edge = [curve.label for curve in curves], Edge(panel.upper, limits[1])
    bottom = Edge(panel.upper, limits[0])
    for curve in curves:
        own = [point for point in panel.points if point.curve.label == curve.label]
        nudge = _NUDGE * (labels.index(curve.label) - (len(labels) - 1) / 2)
        looks = distinct(point.style for point in own)
        joined = {"color": SOFT, "linewidth": 0.8} if len(looks) > 1 else {}
        solid = line_style((looks or [curve.looks[0].style])[0]) | {"linestyle": "-"} | joined
        _line(panel.upper, [(places.at(point.x, nudge), point, point.measured) for point in own], solid, limits)
        for point in own:
            x = places.at(point.x, nudge)
            if point.ending is not Status.FINISHED:
                edge.mark(places.at(point.x, 0.0), mark_style(point.ending, point.style.color))
            elif limits[0] <= point.floor <= limits[1]:
                look = marker_style(point.style) | {"linestyle": "none"}
                panel.upper.plot([x], [point.floor], **look, zorder=3)
            elif point.is_beyond(limits):
                below = point.floor < limits[0]
                look = arrowhead(point.style.color, up=not below, size=6.0)
                (bottom if below else edge).mark(places.at(point.x, 0.0), look)
        for name in names:
            look = {**BOUNDS[name].line, "color": solid["color"]}
            bounded = [(places.at(point.x, nudge), point, point.above[name]) for point in own if name in point.above]
            _line(panel.upper, [(x, point, above.bound) for x, point, above in bounded], look, limits)
            ratios = [(x, point, above.ratio) for x, point, above in bounded if point.floor >= limits[0]]
            _line(panel.lower, ratios, look, panel.lower.get_ylim())
    return edge.height


def _note_empty(page: Page, panel: Panel, limits: tuple[float, float]) -> None:
    """Write a note into panels in which nothing is drawn."""
    low, high = panel.lower.get_ylim()
    bounded = [(point, above) for point in panel.points for above in point.above.values()]
    if not any(
        point.ending is not Status.FINISHED or limits[0] <= point.floor <= limits[1] for point in panel.points
    ) and not any(limits[0] <= above.bound.median <= limits[1] for _, above in bounded):
        page.nothing_in(panel.upper)
    if not any(point.floor >= limits[0] and low <= above.ratio.median <= high for point, above in bounded):
        page.nothing_in(panel.lower)


def _line(
    axes: Axes, values: Sequence[tuple[float, Point, Spread]], look: dict[str, Any], limits: tuple[float, float]
) -> None:
    """Draw joined medians with bars over their quartiles; medians outside the panel break the line."""
    heights = within(np.array([float(value.median) for *_, value in values]), limits)
    axes.plot([x for x, *_ in values], heights, **look, zorder=2)
    for place, (x, point, value) in enumerate(values):
        if np.isfinite(heights[place]):
            if np.isfinite(heights[max(0, place - 1) : place + 2]).sum() == 1:  # no line joins it
                axes.plot([x], heights[[place]], color=point.style.color, **_DASH)
            quartiles = float(value.low), float(value.high)
            bar(axes, x, float(heights[place]), quartiles, limits, point.style.color)
