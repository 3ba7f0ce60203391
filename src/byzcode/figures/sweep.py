"""The plateau of a quantity against a key of a RunSpec, and below it the cost of reaching that plateau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from byzcode.errors import UserError, complain
from byzcode.figures.columns import with_levels
from byzcode.figures.edge import Edge
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Curve, Facets, Request, Run, distinct, in_order, only_run
from byzcode.figures.scale import SHARES, Positions, extent, log_y, near, share_y, window
from byzcode.figures.style import (
    INK,
    QUANTITIES,
    SOFT,
    axis_words,
    level_words,
    line_style,
    literal,
    mark_legend,
    mark_style,
    marker_style,
)
from byzcode.figures.words import lone_seed, named, seeds_of, sentence, with_ending
from byzcode.specs.last_part import NO_LEVEL
from byzcode.storage import checksums
from byzcode.studies.study import LineStyle, SweepPlot
from byzcode.training.status import ENDINGS, RAN_AWAY, Status, most_frequent

_COST = "gradients_computed_to_plateau"
#: Curves stand apart by so much of the axis, at most, and by so much of the room between two values.
_NUDGE, _CROWD = 0.012, 0.6


@dataclass(frozen=True)
class Point:
    """A run of a curve at a value of x; ``x`` is None for a curve that does not vary with it."""

    curve: Curve
    x: Any
    run: Run
    row: pd.Series[Any]

    @property
    def style(self) -> LineStyle:
        """How it is drawn."""
        return self.run.style

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
    def ended(self) -> dict[Status, int]:
        """How many seeds ended early, by how."""
        return {ending: int(self.row[ending.word]) for ending in ENDINGS}

    @property
    def ending(self) -> Status:
        """What ended most seeds, where half of them or more ended early; else FINISHED."""
        early = 2 * sum(self.ended.values()) >= self.row["seeds"]
        return most_frequent(self.ended) if early else Status.FINISHED

    def is_measured(self, quantity: str) -> bool:
        """Whether it has the quantity: NaN is a level of none, infinity one that half of the seeds never got to."""
        return not np.isnan(self.median(quantity))

    @property
    def moves(self) -> bool:
        """Whether it has a level, and seeds that are not at it yet."""
        return not self.settled and self.ending is Status.FINISHED


@dataclass(frozen=True)
class Panel:
    """The two axes of a column, and what is drawn into both."""

    axes: dict[str, Axes]
    levels: dict[str, Any]  # of columns, by that field of the plot
    points: list[Point]


def sweep(request: Request, results: Path) -> Drawing:
    """Draw ``kind: sweep``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, SweepPlot)
    path = results / "summaries" / f"{request.study}.csv"
    summary = _read(path, (plot.y, _COST), request.summary)
    columns = Facets.of(request.curves, plot.columns)
    varying = [curve.label for curve in request.curves if curve.varies_with(plot.x)]

    def points(level: Any) -> list[Point]:
        found = []
        for curve in request.curves:
            here = [run for run in curve.runs if columns.holds(curve, run, level)]
            flat = curve.label not in varying and (bool(varying) or all(run.point[plot.x] is None for run in here))
            for x in [None] if flat else in_order(distinct(run.point[plot.x] for run in here)):
                run = only_run(curve, [run for run in here if flat or run.point[plot.x] == x], request.study)
                if run:
                    found.append(Point(curve, x, run, _row(summary, run.run, path)))
        return found

    quantities = _quantities(plot)
    page = Page(request, len(quantities), len(columns.levels), sharex=True, sharey="row")
    panels = [
        Panel(dict(zip(quantities, axes, strict=True)), columns.level("columns", level), points(level))
        for axes, level in zip(zip(*page.axes, strict=True), columns.levels, strict=True)
    ]
    places = Positions(plot.x, in_order(distinct(point.x for p in panels for point in p.points if point.x is not None)))
    limits: dict[str, tuple[float, float]] = {}
    heights: dict[str, float] = {}
    for quantity in quantities:
        limits[quantity] = _limits(panels, quantity)
        for panel in panels:
            if _is_share(quantity):
                share_y(panel.axes[quantity])
            else:
                log_y(panel.axes[quantity], *limits[quantity])
            places.dress(panel.axes[quantity])
            risen = _draw(panel, quantity, places, limits[quantity])
            if not any(_is_drawn(point, quantity, limits[quantity]) for point in panel.points):
                page.nothing_in(panel.axes[quantity])
            heights[quantity] = max(risen, heights.get(quantity, 0.0))
    _label(page, panels, plot, heights[plot.y])
    page.arrange(_legend(request, panels), _notes(panels, plot, limits), places)
    return Drawing(page, _table(panels, plot))


def _quantities(plot: SweepPlot) -> tuple[str, ...]:
    """What is drawn, from top to bottom."""
    return (plot.y, _COST) if plot.cost else (plot.y,)


def _read(path: Path, quantities: Sequence[str], request: str | None) -> pd.DataFrame:
    """The summary of a study, by run. Raises UserError."""
    needed = ["run_id", "seeds", *(ending.word for ending in ENDINGS), "at_plateau"]
    needed += [f"{quantity}_{part}" for quantity in quantities for part in ("median", "q25", "q75")]
    try:
        content = checksums.checked(path, "summarise", request)
        # A run_id such as 1234567890e1 is no number.
        summary = pd.read_csv(content, dtype={"run_id": str})
    except ValueError as error:
        raise UserError(f"{path}: not a summary: {error}") from None
    for column in needed:
        if column not in summary:
            raise complain(path, "column", column, "is not in it; make the summary anew")
    return summary.drop_duplicates("run_id").set_index("run_id")


def _row(summary: pd.DataFrame, run: str, path: Path) -> pd.Series[Any]:
    if run not in summary.index:
        raise complain(path, "run_id", run, "is not in it; make the summary anew")
    row: pd.Series[Any] = summary.loc[[run]].iloc[0]
    if isinstance(reason := row.get(NO_LEVEL), str):
        raise complain(path, "run_id", run, f"has no level: {reason}")
    return row


def _is_share(quantity: str) -> bool:
    return quantity in QUANTITIES and QUANTITIES[quantity].share


def _limits(panels: Sequence[Panel], quantity: str) -> tuple[float, float]:
    if _is_share(quantity):
        return SHARES
    points = [point for panel in panels for point in panel.points]
    medians = [(np.array([point.median(quantity)]), point.run.is_floor) for point in points]
    return window(found for median, floor in medians if (found := extent(median, floor=floor)))


def _draw(panel: Panel, quantity: str, places: Positions, limits: tuple[float, float]) -> float:
    """Draw the curves of a panel; returns how many points the marks on its upper edge rise above it."""
    share = _is_share(quantity)
    axes, edge = panel.axes[quantity], Edge(panel.axes[quantity], limits[0] if share else limits[1])
    labels = distinct(point.curve.label for point in panel.points)
    moving = distinct(point.curve.label for point in panel.points if point.x is not None)
    step = min(_NUDGE, _CROWD * places.closest / max(1, len(moving)))
    for rank, label in enumerate(labels):
        own = [point for point in panel.points if point.curve.label == label]
        if label in moving:
            nudge = step * (moving.index(label) - (len(moving) - 1) / 2)
            x = [places.at(point.x, nudge) for point in own]
            _draw_curve(axes, own, quantity, x, limits, rank / len(labels))
        else:
            x = [(rank + 0.5) / len(labels)]
            _draw_level(axes, own[0], quantity, x[0], limits)
        for point, place in zip(own, x, strict=True):
            if _is_on_edge(point, quantity):
                at = places.at(point.x, 0.0) if label in moving else place
                edge.mark(at, _ending(point), of_panel=point.x is None)
    return 0.0 if share else edge.height


def _is_on_edge(point: Point, quantity: str) -> bool:
    """Whether its mark stands on the upper edge: what ended it, or that it is not at a plateau."""
    ended = point.ending is not Status.FINISHED
    return not np.isfinite(point.median(quantity)) and (ended or point.is_measured(quantity))


def _is_drawn(point: Point, quantity: str, limits: tuple[float, float]) -> bool:
    """Whether anything of it is in a panel."""
    return limits[0] <= point.median(quantity) <= limits[1] or _is_on_edge(point, quantity)


def _draw_curve(
    axes: Axes, points: Sequence[Point], quantity: str, x: Sequence[float], limits: tuple[float, float], phase: float
) -> None:
    """A curve: its medians joined, a bar over the quartiles of each."""
    looks = distinct(point.style for point in points)
    joined = line_style(looks[0], phase=phase) | ({"color": SOFT, "linewidth": 0.8} if len(looks) > 1 else {})
    medians = np.array([point.median(quantity) for point in points])
    medians[~(((medians > 0) | _is_share(quantity)) & np.isfinite(medians))] = np.nan
    axes.plot(x, medians, **joined, zorder=2)
    for point, place, median in zip(points, x, medians, strict=True):
        if np.isfinite(median):
            low, high = near(np.array(point.quartiles(quantity)), *limits)
            axes.plot([place, place], [low, high], color=point.style.color, linewidth=1.0, alpha=0.8, zorder=2.1)
            axes.plot([place], [median], **_look(point), zorder=3)


def _draw_level(axes: Axes, point: Point, quantity: str, place: float, limits: tuple[float, float]) -> None:
    """A curve that does not vary with x: a horizontal line and a band."""
    median = point.median(quantity)
    if limits[0] <= median < np.inf if _is_share(quantity) else 0 < median < np.inf:
        low, high = near(np.array(point.quartiles(quantity)), *limits)
        axes.axhspan(low, high, color=point.style.color, alpha=0.13, linewidth=0, zorder=1.5)
        axes.axhline(median, **line_style(point.style), zorder=1.9)
        axes.plot([place], [median], **_look(point), transform=axes.get_yaxis_transform(), zorder=3)


def _look(point: Point) -> dict[str, Any]:
    """The marker of a median: hollow where a seed is not at its plateau."""
    return marker_style(point.style, hollow=not point.settled) | {"linestyle": "none"}


def _ending(point: Point) -> dict[str, Any]:
    """The mark of a median that is no number: what ended the seeds, or hollow if they were not at a plateau."""
    return _look(point) if point.ending is Status.FINISHED else mark_style(point.ending, point.style.color)


def _label(page: Page, panels: Sequence[Panel], plot: SweepPlot, risen: float) -> None:
    pad = mpl.rcParams["axes.titlepad"] + risen
    for panel in panels:
        *_, lowest = panel.axes.values()
        panel.axes[plot.y].set_title(level_words(plot.columns, panel.levels.get("columns")), pad=pad)
        where = "at its plateau" if plot.cost else "over the last fifth"
        panel.axes[plot.y].set_ylabel(f"{QUANTITIES[plot.y].words}\n{where}", linespacing=0.95)
        if plot.cost:
            lowest.set_ylabel("gradients of all devices\nuntil the plateau", linespacing=0.95)
        lowest.set_xlabel(axis_words(plot.x))
        for axes in panel.axes.values():
            axes.label_outer()
    page.figure.align_ylabels()


def _legend(request: Request, panels: Sequence[Panel]) -> list[Artist]:
    handles: list[Artist] = []
    points = [point for panel in panels for point in panel.points]
    for curve in request.curves:
        for look in curve.looks:
            own = [
                point.ending
                for point in points
                if point.curve.label == curve.label and point.run.method in look.methods
            ]
            label = look.label if Status.FINISHED in own else with_ending(look.label, own)
            drawn = line_style(look.style) | marker_style(look.style)
            handles.append(Line2D([], [], **drawn, label=literal(label)))
    handles += mark_legend(point.ending for point in points)
    if any(point.moves for point in points):
        hollow = marker_style(request.curves[0].looks[0].style, INK, hollow=True) | {"marker": "o"}
        handles.append(Line2D([], [], **hollow, linestyle="none", label="not yet at its plateau"))
    return handles


def _notes(panels: Sequence[Panel], plot: SweepPlot, limits: Mapping[str, tuple[float, float]]) -> list[str]:
    points = [point for panel in panels for point in panel.points]
    seeds = [int(point.row["seeds"]) for point in points]
    notes = [
        f"Markers: median over {seeds_of(seeds)}, a little apart where curves meet; bars and bands: interquartile "
        "range.",
        *lone_seed("bar", seeds),
    ]
    if any(point.ending in RAN_AWAY for point in points):
        where = "lower edge: less than any other" if _is_share(plot.y) else "upper edge: infinite"
        notes.append(f"A mark on the {where}, as half of the seeds or more ended so.")
    if any(point.moves for point in points):
        notes.append(
            "Hollow: some seeds had not reached a plateau when training ended; on the upper edge, half of them or more."
        )
    everything = [(point.curve.label, point.x) for point in points]
    for start, chosen in _told(points, plot, limits).items():
        notes += sentence(start, named([(point.curve.label, point.x) for point in chosen], everything, plot.x))
    return notes


def _told(
    points: Sequence[Point], plot: SweepPlot, limits: Mapping[str, tuple[float, float]]
) -> dict[str, list[Point]]:
    """What of the points is not drawn, or not as they are."""
    bottom, top = limits[plot.y]
    ran = [point for point in points if point.ending is Status.FINISHED]
    median = {id(point): point.median(plot.y) for point in points}
    return {
        "Undefined, as the rule bears fewer liars": [point for point in points if point.ending is Status.UNDEFINED],
        "Fewer than half of the seeds ended early": [point for point in ran if any(point.ended.values())],
        "Below its panel": [point for point in points if 0 < median[id(point)] < bottom],
        "Above its panel": [point for point in ran if top < median[id(point)] < np.inf],
        "0 or below, where a logarithmic axis has no place for it": [
            p for p in points if median[id(p)] <= 0 and not _is_share(plot.y)
        ],
        "Infinite, though half of the seeds or more had not ended": [p for p in ran if np.isinf(median[id(p)])],
        "Not measured, so not drawn": [point for point in ran if not point.is_measured(plot.y)],
        "Where a cost is missing, the plateau is no lower than the start": [
            point for point in points if plot.cost and point.median(_COST) == 0
        ],
    }


def _table(panels: Sequence[Panel], plot: SweepPlot) -> pd.DataFrame:
    def row(quantity: str, point: Point) -> dict[str, Any]:
        return {
            "quantity": quantity,
            "curve": point.curve.label,
            "method": point.run.method,
            "run": point.run.run,
            "x": point.x,
            "median": point.median(quantity),
            "q25": point.quartiles(quantity)[0],
            "q75": point.quartiles(quantity)[1],
            "seeds": int(point.row["seeds"]),
            **{ending.word: count for ending, count in point.ended.items()},
            "at_plateau": int(point.row["at_plateau"]),
        }

    return pd.DataFrame(
        with_levels(plot, panel.levels, row(quantity, point))
        for quantity in _quantities(plot)
        for panel in panels
        for point in panel.points
    )
