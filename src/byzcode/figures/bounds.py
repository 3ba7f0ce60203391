"""The squared gradient norm at the end of training beside its bounds, and the ratios of the bounds to it."""

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

from byzcode.analysis.spread import Spread, spread
from byzcode.figures.clip import ARROWHEADS, arrowhead, bar, beyond_legend, within
from byzcode.figures.columns import with_levels
from byzcode.figures.edge import Edge
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Curve, Facets, Request, Run, distinct, in_order, only_run
from byzcode.figures.scale import Extent, Positions, extent, log_y, window
from byzcode.figures.style import (
    BOUNDS,
    INK,
    SOFT,
    axis_words,
    level_words,
    line_style,
    literal,
    mark_legend,
    mark_style,
    marker_style,
)
from byzcode.figures.words import BELOW, lone_seed, named, seeds_of, sentence, stacked, with_ending
from byzcode.storage import trajectories
from byzcode.storage.layout import trajectory
from byzcode.studies.names import BoundName
from byzcode.studies.study import BoundsPlot, LineStyle
from byzcode.theory.bounds import bounds as bounds_of
from byzcode.theory.bounds import floor, floor_bound
from byzcode.training.status import ENDINGS, Status, counts, most_frequent

#: The horizontal distance between curves, as a fraction of the axis.
_NUDGE = 0.012
_DASH: dict[str, Any] = {"marker": "_", "markersize": 7, "linestyle": "none", "zorder": 2}
#: If ratios span more than this factor, the axis is limited as for other quantities.
_WIDE = 1e100


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
                points.append(_read(curve, x, run, trajectory(results, run.run), plot.bounds))
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
    beside = _notes(everything, request.shown(plot.x), drawn, limits)
    page.arrange(_legend(request.curves, drawn, everything, limits), beside, places)
    return Drawing(page, _table(panels, plot, limits[0]))


def _read(curve: Curve, x: Any, run: Run, path: Path, wanted: Sequence[BoundName]) -> Point:
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


def _legend(
    curves: Sequence[Curve], drawn: Sequence[BoundName], points: Sequence[Point], limits: tuple[float, float]
) -> list[Artist]:
    handles: list[Artist] = []
    sides = {point.floor > limits[1] for point in points if point.is_beyond(limits)}
    for curve in curves:
        for look in curve.looks:
            endings = [p.ending for p in points if p.curve.label == curve.label and p.run.method in look.methods]
            label = look.label if Status.FINISHED in endings else with_ending(look.label, endings)
            drawn_as = line_style(look.style) | {"linestyle": "-"} | marker_style(look.style)
            handles.append(Line2D([], [], **drawn_as, label=literal(label)))
    handles += [Line2D([], [], color=INK, **BOUNDS[name].line, label=BOUNDS[name].words) for name in drawn]
    return handles + mark_legend(point.ending for point in points) + beyond_legend(sides)


def _notes(points: Sequence[Point], key: str, drawn: Sequence[BoundName], limits: tuple[float, float]) -> list[str]:
    seeds = [len(point.status) for point in points]
    notes = [
        f"Markers: measured, median over {seeds_of(seeds)}; bars: interquartile range. "
        "The descent of the loss turns a bound on the error of the aggregate into one on the gradient.",
        *lone_seed("bar", seeds),
    ]
    if any(_leaves(point, limits) for point in points):
        notes.append(ARROWHEADS)
    notes += [f"{BOUNDS[name].words.capitalize()}: {BOUNDS[name].meaning}." for name in drawn]
    everything = [(point.curve.label, point.x) for point in points]
    for start, chosen in _not_drawn(points, limits).items():
        named_points = [(point.curve.label, point.x) for point in chosen]
        notes += sentence(start, named(named_points, everything, key)) + stacked(start, named_points)
    return notes


def _leaves(point: Point, limits: tuple[float, float]) -> bool:
    """Whether a drawn point has a quartile beyond the panel."""
    shown = (point.measured, *(above.bound for above in point.above.values()))
    return any(
        limits[0] <= spread.median <= limits[1] and not limits[0] <= spread.low <= spread.high <= limits[1]
        for spread in shown
    )


def _not_drawn(points: Sequence[Point], limits: tuple[float, float]) -> dict[str, list[Point]]:
    """The points that are not drawn, by reason: the start of a sentence in the notes."""
    ran = [point for point in points if point.ending is Status.FINISHED]
    reasons = {
        f"{BELOW}, and no ratio": [point for point in points if 0 < point.floor < limits[0]],
        "Measured 0, which a logarithmic axis cannot show, and no ratio": [p for p in points if p.floor == 0],
        "Above its panel": [point for point in ran if limits[1] < point.floor < np.inf],
        "Infinite, although at least half of the seeds had not ended": [p for p in ran if np.isinf(p.floor)],
    }
    for ending in ENDINGS:
        why = "because the rule tolerates fewer liars" if ending is Status.UNDEFINED else "at least half of the seeds"
        reasons[f"{ending.word.capitalize()}, {why}"] = [point for point in points if point.ending is ending]
    reasons["No bound is known"] = [point for point in ran if not point.above]
    reasons["A bound of 0 or below, or without a ratio, is not drawn"] = [
        point
        for point in ran
        if point.floor >= limits[0] and any(not _is_positive(above) for above in point.above.values())
    ]
    return reasons


def _is_positive(above: Above) -> bool:
    return all(0 < float(part.median) < np.inf for part in above)


def _table(panels: Sequence[Panel], plot: BoundsPlot, bottom: float) -> pd.DataFrame:
    """The drawn data. There is no ratio if the measured floor is only rounding errors."""

    def row(point: Point, name: str, value: Spread, ratio: Spread | None) -> dict[str, Any]:
        return {
            "curve": point.curve.label,
            "method": point.run.method,
            "run": point.run.run,
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
        with_levels(plot, panel.levels, row(point, name, value, ratio))
        for panel in panels
        for point in panel.points
        for name, value, ratio in [
            ("measured", point.measured, None),
            *(
                (name, above.bound, above.ratio if point.floor >= bottom else None)
                for name, above in point.above.items()
            ),
        ]
    )
