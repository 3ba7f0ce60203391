"""The plateau of a quantity against a key of a RunSpec, and below it the cost of reaching that plateau."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from byzcode.figures import sweep_measured
from byzcode.figures.clip import arrowhead, band, bar, with_quartiles, within
from byzcode.figures.columns import with_levels
from byzcode.figures.edge import Edge
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Facets, Request, distinct, in_order
from byzcode.figures.scale import SHARES, Positions, extent, log_y, share_y, window
from byzcode.figures.style import (
    QUANTITIES,
    SOFT,
    axis_words,
    level_words,
    line_style,
    mark_style,
    marker_style,
)
from byzcode.figures.sweep_edge import draw_edge
from byzcode.figures.sweep_points import COST, Panel, Point, Summary, beyond, points_of, quantities_of
from byzcode.figures.sweep_words import legend, notes
from byzcode.figures.words import sentence
from byzcode.specs.quantities import is_share
from byzcode.storage.layout import STAGES
from byzcode.studies.plots import SweepPlot
from byzcode.training.status import Status

#: Curves are shifted apart by at most these parts of the axis, and of the distance between two values.
_NUDGE, _CROWD = 0.012, 0.6
#: The place of the mark of a curve that does not vary with x, as a fraction of the panel.
_CORNER = 0.99


def sweep(request: Request, results: Path) -> Drawing:
    """Draw ``kind: sweep``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, SweepPlot)
    summary = Summary.read(STAGES["summarise"].table(results, request.study), (plot.y, COST), request.summary)
    return drawn(request, plot, summary, lambda points: sweep_measured.placed(points, plot, results))


def drawn(
    request: Request, plot: SweepPlot, summary: Summary, placed: Callable[[Sequence[Point]], list[Point]]
) -> Drawing:
    """Draw the figure from a summary; ``placed`` gives points on an axis of a measured quantity their places."""
    quantities = quantities_of(plot)
    columns = Facets.of(request.curves, plot.columns)
    page = Page(request, len(quantities), len(columns.levels), sharex=True, sharey="row")
    panels = [
        Panel(
            dict(zip(quantities, axes, strict=True)),
            columns.level("columns", level),
            placed(points_of(request, columns, level, summary)),
        )
        for axes, level in zip(zip(*page.axes, strict=True), columns.levels, strict=True)
    ]
    moving = [point for panel in panels for point in panel.points if point.x is not None]
    places = Positions(plot.x, in_order(distinct(point.x for point in moving)))
    if plot.measured:
        places = sweep_measured.axis_of(moving, plot)
    limits: dict[str, tuple[float, float]] = {}
    heights: dict[str, float] = {}
    for quantity in quantities:
        limits[quantity] = _limits(panels, quantity)
        for panel in panels:
            if is_share(quantity):
                share_y(panel.axes[quantity])
            else:
                log_y(panel.axes[quantity], *limits[quantity])
            places.dress(panel.axes[quantity])
            risen = _draw(panel, quantity, places, limits[quantity])
            if not any(_is_drawn(point, quantity, limits[quantity]) for point in panel.points if point.is_placed):
                page.nothing_in(panel.axes[quantity])
            heights[quantity] = max(risen, heights.get(quantity, 0.0))
    key = request.shown(plot.x)
    _label(page, panels, request, plot, heights[plot.y])
    beside = notes(panels, plot, limits, key) + sweep_measured.notes(moving, plot, key) + _edges(panels, plot, places)
    page.arrange(legend(request, panels, limits), beside, places)
    return Drawing(page, _table(panels, plot))


def _edges(panels: Sequence[Panel], plot: SweepPlot, places: Positions) -> list[str]:
    """Draw the edge of descent into each panel; returns a sentence on those beyond their panel."""
    if not plot.edge:
        return []
    alphas = [(axes, float(panel.levels["columns"])) for panel in panels for axes in panel.axes.values()]
    far = [note for axes, alpha in alphas if (note := draw_edge(axes, alpha, places))]
    return sentence("The edge at which the mean stops descending lies beyond the panel", far)


def _limits(panels: Sequence[Panel], quantity: str) -> tuple[float, float]:
    if is_share(quantity):
        return SHARES
    points = [point for panel in panels for point in panel.points]
    medians = [(np.array([point.median(quantity)]), point.run.is_floor) for point in points]
    shown = window(span for median, floor in medians if (span := extent(median, floor=floor)))
    return with_quartiles(shown, [end for point in points for end in point.quartiles(quantity)])


def _draw(panel: Panel, quantity: str, places: Positions, limits: tuple[float, float]) -> float:
    """Draw the curves of a panel; return by how many points the marks on its upper edge rise above it."""
    share = is_share(quantity)
    axes, edge = panel.axes[quantity], Edge(panel.axes[quantity], limits[0] if share else limits[1])
    floor = Edge(axes, limits[0])
    labels = distinct(point.curve.label for point in panel.points)
    moving = distinct(point.curve.label for point in panel.points if point.x is not None)
    step = min(_NUDGE, _CROWD * places.closest / max(1, len(moving)))
    for rank, label in enumerate(labels):
        own = sorted((point for point in panel.points if point.curve.label == label), key=sweep_measured.along)
        if label in moving:
            nudge = step * (moving.index(label) - (len(moving) - 1) / 2)
            x = [places.at(point.place, nudge) for point in own]
            _draw_curve(axes, own, quantity, x, limits, rank / len(labels))
        else:
            x = [_CORNER]
            _draw_level(axes, own[0], quantity, limits)
        for point, place in zip(own, x, strict=True):
            if _is_on_edge(point, quantity):
                at = places.at(point.place, 0.0) if label in moving else place
                edge.mark(at, _ending(point), of_panel=point.x is None)
            elif point.x is not None and beyond(point, quantity, limits):
                below = point.median(quantity) < limits[0]
                look = arrowhead(point.style.color, up=not below, size=6.0)
                (floor if below else edge).mark(places.at(point.place, 0.0), look)
    return 0.0 if share else edge.height


def _is_on_edge(point: Point, quantity: str) -> bool:
    """Whether the edge carries a mark for the point, because its seeds ended early or are not at a plateau."""
    ended = point.ending is not Status.FINISHED
    return not np.isfinite(point.median(quantity)) and (ended or point.is_measured(quantity))


def _is_drawn(point: Point, quantity: str, limits: tuple[float, float]) -> bool:
    """Whether the point is visible in a panel."""
    return limits[0] <= point.median(quantity) <= limits[1] or _is_on_edge(point, quantity)


def _draw_curve(
    axes: Axes, points: Sequence[Point], quantity: str, x: Sequence[float], limits: tuple[float, float], phase: float
) -> None:
    """Draw a curve: a line through its medians, and a bar between the quartiles of each."""
    looks = distinct(point.style for point in points)
    joined = line_style(looks[0], phase=phase) | ({"color": SOFT, "linewidth": 0.8} if len(looks) > 1 else {})
    medians = np.array([point.median(quantity) for point in points])
    medians = within(medians, limits)
    axes.plot(x, medians, **joined, zorder=2)
    for point, place, median in zip(points, x, medians, strict=True):
        if np.isfinite(median) and point.is_placed:
            sweep_measured.draw_range(axes, point, median)
            bar(axes, place, median, point.quartiles(quantity), limits, point.style.color)
            axes.plot([place], [median], **_look(point), zorder=3)


def _draw_level(axes: Axes, point: Point, quantity: str, limits: tuple[float, float]) -> None:
    """Draw a curve that does not vary with x: a horizontal line and a band, without a marker, as it has no x."""
    median = point.median(quantity)
    if limits[0] <= median <= limits[1]:
        band(axes, median, point.quartiles(quantity), limits, point.style.color)
        axes.axhline(median, **line_style(point.style), zorder=1.9)


def _look(point: Point) -> dict[str, Any]:
    """The marker of a median: hollow if a seed is not at its plateau."""
    return marker_style(point.style, hollow=not point.settled) | {"linestyle": "none"}


def _ending(point: Point) -> dict[str, Any]:
    """The mark of a median that is not finite: what ended the seeds, or hollow if they were not at a plateau."""
    return _look(point) if point.ending is Status.FINISHED else mark_style(point.ending, point.style.color)


def _label(page: Page, panels: Sequence[Panel], request: Request, plot: SweepPlot, risen: float) -> None:
    pad = mpl.rcParams["axes.titlepad"] + risen
    for panel in panels:
        *_, lowest = panel.axes.values()
        panel.axes[plot.y].set_title(level_words(request.shown(plot.columns), panel.levels.get("columns")), pad=pad)
        where = "at its plateau" if plot.cost else "over the last fifth"
        panel.axes[plot.y].set_ylabel(f"{QUANTITIES[plot.y].words}\n{where}", linespacing=0.95)
        if plot.cost:
            lowest.set_ylabel("gradients of all devices\nuntil the plateau", linespacing=0.95)
        lowest.set_xlabel(sweep_measured.label(plot) if plot.measured else axis_words(request.shown(plot.x)))
        for axes in panel.axes.values():
            axes.label_outer()
    page.figure.align_ylabels()


def _table(panels: Sequence[Panel], plot: SweepPlot) -> pd.DataFrame:
    def row(quantity: str, point: Point) -> dict[str, Any]:
        return {
            "quantity": quantity,
            "curve": point.curve.label,
            "method": point.run.method,
            "run": point.run.run,
            "x": point.x,
            **sweep_measured.columns(point),
            "median": point.median(quantity),
            "q25": point.quartiles(quantity)[0],
            "q75": point.quartiles(quantity)[1],
            "seeds": int(point.row["seeds"]),
            **{ending.word: count for ending, count in point.ended.items()},
            "at_plateau": int(point.row["at_plateau"]),
        }

    return pd.DataFrame(
        with_levels(plot, panel.levels, row(quantity, point))
        for quantity in quantities_of(plot)
        for panel in panels
        for point in panel.points
    )
