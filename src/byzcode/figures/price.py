"""What each method reaches in its worst case against what it costs, and the Pareto front of each cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from byzcode.figures.clip import ARROWHEADS, arrowhead, bar, beyond_legend, with_quartiles
from byzcode.figures.edge import Edge
from byzcode.figures.page import Drawing, Page
from byzcode.figures.price_points import Point, front, points_of
from byzcode.figures.request import Request
from byzcode.figures.scale import SHARES, Extent, log_ticks, log_y, share_y, window
from byzcode.figures.style import (
    QUANTITIES,
    SOFT,
    axis_words,
    literal,
    mark_legend,
    mark_style,
    marker_style,
    value_words,
)
from byzcode.figures.words import in_plain, listing, lone_seed, seeds_of, sentence
from byzcode.specs.quantities import is_share
from byzcode.studies.plots import PricePlot
from byzcode.training.status import Status

#: The words for a cost of a device: on its axis, and in a sentence.
COSTS = {
    "computation": ("share of the data\ncomputed per iteration", "computation"),
    "bits": ("bits sent\nper iteration", "bits"),
    "storage": ("share of the data\nstored", "storage"),
    "time": ("modelled time\nper iteration", "time"),
}
#: The most panels side by side.
_ACROSS = 3
#: The factor between the least or greatest cost and the end of its axis.
_ROOM = 1.6
_FRONT: dict[str, Any] = {"color": SOFT, "linewidth": 1.0, "drawstyle": "steps-post", "zorder": 1}
#: How faint a point is that is not on the front.
_FAINT = 0.3

_TIME = (
    "Time: a device that computes r gradients takes r (1 + E), E exponential with mean 1; the server waits for the "
    "last honest message that it uses; sending takes none. Its unit is the least time for the gradient of all data. "
    "Where devices are late it is the recorded one, else the expected one."
)


def price(request: Request, results: Path) -> Drawing:
    """Draw ``kind: price``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, PricePlot)
    points = points_of(request, plot, results)
    more_is_better = is_share(plot.y)
    page, panels = _panels(request, len(plot.costs))
    limits = _limits(points, more_is_better=more_is_better)
    fronts: dict[str, list[Point]] = {
        cost: front([point for point in points if _is_placed(point, cost)], cost, more_is_better=more_is_better)
        for cost in plot.costs
    }
    for axes, cost in zip(panels, plot.costs, strict=True):
        _dress(axes, cost, points)
        (share_y(axes) if more_is_better else log_y(axes, *limits))
        _draw(axes, cost, points, fronts[cost], limits, more_is_better=more_is_better)
    quantity = QUANTITIES[plot.y]
    for first, *_ in page.axes:
        first.set_ylabel(f"{quantity.words} {quantity.symbol}\nin the worst case".replace("  ", " "))
    page.arrange(_legend(request, points, limits), _notes(request, plot, points, fronts))
    return Drawing(page, _table(plot, points, fronts))


def _panels(request: Request, count: int) -> tuple[Page, list[Axes]]:
    """A page with a panel for each cost, in one row or in two."""
    if count <= _ACROSS:
        page = Page(request, 1, count, aspect=1.0, sharey=True)
    else:
        page = Page(request, 2, -(-count // 2), aspect=0.7, wide=True, sharey=True)
    return page, [axes for row in page.axes for axes in row]


def _limits(points: Sequence[Point], *, more_is_better: bool) -> tuple[float, float]:
    if more_is_better:
        return SHARES
    shown = [point for point in points if point.ending is Status.FINISHED and 0 < point.level.median < float("inf")]
    limits = window(Extent(float(point.level.median), float(point.level.median)) for point in shown)
    return with_quartiles(limits, [float(end) for point in shown for end in (point.level.low, point.level.high)])


def _dress(axes: Axes, cost: str, points: Sequence[Point]) -> None:
    """The axis of a cost."""
    costs = [point.costs[cost] for point in points if _is_placed(point, cost)] or [1.0]
    low, high = min(costs) / _ROOM, max(costs) * _ROOM
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    log_ticks(axes.xaxis, low, high)
    axes.set_xlabel(COSTS[cost][0])


def _is_placed(point: Point, cost: str) -> bool:
    """Whether a logarithmic axis can show its cost."""
    return 0 < point.costs[cost] < float("inf")


def _draw(
    axes: Axes,
    cost: str,
    points: Sequence[Point],
    best: Sequence[Point],
    limits: tuple[float, float],
    *,
    more_is_better: bool,
) -> None:
    """Draw the points of a panel, and the front as steps to the right of which it needs no further cost."""
    bottom, top = limits
    high = axes.get_xlim()[1]
    places = [point.costs[cost] for point in best]
    heights = [float(point.level.median) for point in best]
    if best:
        axes.plot([*places, high], [*heights, heights[-1]], **_FRONT)
    edge = Edge(axes, bottom if more_is_better else top)
    for point in (point for point in points if _is_placed(point, cost)):
        x, median = point.costs[cost], float(point.level.median)
        beside = float(f"{x:.3g}")  # marks are stacked at equal places, and recorded times are nearly equal
        look: dict[str, Any] = {"alpha": 1.0 if point in best else _FAINT}
        if point.ending is not Status.FINISHED:
            edge.mark(beside, mark_style(point.ending, point.run.style.color))
        elif bottom <= median <= top:
            if point in best:
                bar(axes, x, median, (float(point.level.low), float(point.level.high)), limits, point.run.style.color)
            axes.plot([x], [median], **marker_style(point.run.style), **look, linestyle="none", zorder=3)
        else:
            (Edge(axes, bottom) if median < bottom else edge).mark(
                beside, arrowhead(point.run.style.color, up=median > top, size=6.0)
            )


def _legend(request: Request, points: Sequence[Point], limits: tuple[float, float]) -> list[Artist]:
    """The curves, the marks that occur, and the front."""
    handles: list[Artist] = [
        Line2D([], [], **marker_style(curve.looks[0].style), linestyle="none", label=literal(curve.label))
        for curve in request.curves
    ]
    finished = [float(point.level.median) for point in points if point.ending is Status.FINISHED]
    sides = {median > limits[1] for median in finished if not limits[0] <= median <= limits[1]}
    drawn = {name: value for name, value in _FRONT.items() if name != "drawstyle"}
    return [
        *handles,
        Line2D([], [], **drawn, label="Pareto front"),
        *mark_legend(point.ending for point in points),
        *beyond_legend(sides),
    ]


def _notes(request: Request, plot: PricePlot, points: Sequence[Point], fronts: dict[str, list[Point]]) -> list[str]:
    """What a point is, and which points are on the fronts."""
    key = in_plain(axis_words(request.shown(plot.over)))
    seeds = [point.seeds for point in points]
    each = f" A point for each {in_plain(axis_words(plot.hue))}." if plot.hue else ""
    lines = [
        f"Points: for each seed the worst level over the values of {key}, then the median over {seeds_of(seeds)}; "
        f"bars: interquartile range. Costs are those of a device.{each} Faint: another point costs no more and ends "
        "no worse.",
        *([_TIME] if "time" in plot.costs else []),
        *lone_seed("bar", seeds),
    ]
    if any(point.ending is Status.FINISHED for point in points):
        lines.append(ARROWHEADS.replace("bar or band", "bar"))
    for cost, best in fronts.items():
        free = [name_of(point, plot) for point in points if not _is_placed(point, cost)]
        lines += sentence(f"Without {COSTS[cost][1]}, which a logarithmic axis cannot show", free)
        lines += sentence(f"On the front of {COSTS[cost][1]}", [name_of(point, plot) for point in best])
    return lines


def name_of(point: Point, plot: PricePlot) -> str:
    """A point in words."""
    return (
        f"{point.curve.label}, {value_words(plot.hue, point.hue)}"
        if plot.hue and point.hue is not None
        else point.curve.label
    )


def _table(plot: PricePlot, points: Sequence[Point], fronts: dict[str, list[Point]]) -> pd.DataFrame:
    """A row per point: its costs, its worst case with quartiles, and the fronts that it is on."""
    return pd.DataFrame(
        {
            "curve": point.curve.label,
            **({plot.hue: point.hue} if plot.hue else {}),
            **point.costs,
            f"{plot.y}_median": point.level.median,
            f"{plot.y}_q25": point.level.low,
            f"{plot.y}_q75": point.level.high,
            "worst": value_words(plot.over, point.worst),
            "ended": "" if point.ending is Status.FINISHED else point.ending.word,
            "on_front_of": listing(COSTS[cost][1] for cost, best in fronts.items() if point in best),
            "seeds": point.seeds,
        }
        for point in points
    )
