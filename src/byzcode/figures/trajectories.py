"""A quantity against iteration or cost: median over seeds with an interquartile band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from byzcode import trajectory
from byzcode.analysis.spread import Spread, spread
from byzcode.bounds import bounds
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Curve, Facets, Request, distinct, in_order, only_run
from byzcode.figures.scale import Extent, apart, cost_ticks, extent, log_y, window
from byzcode.figures.style import (
    BOUNDS,
    COSTS,
    INK,
    QUANTITIES,
    TICK,
    level_words,
    line_style,
    literal,
    mark_legend,
    mark_style,
    marker_style,
    ramp,
    value_words,
)
from byzcode.figures.words import named, seeds_of, sentence, with_ending
from byzcode.status import Status, counts, most_frequent, told
from byzcode.studies.names import BoundName
from byzcode.studies.spec import RunSpec
from byzcode.studies.study import TrajectoryPlot

#: A panel ends so far above the start of its curves, at the latest; where a median becomes infinite, so far.
_RISE, _RISE_ENDING = 100.0, 10.0
#: Markers on a line, and panels side by side.
_MARKERS, _ABREAST = 5, 4
#: Points from the middle of a mark to that of the next.
_MARK = 8.0
#: The width of lines of which there are many.
_THIN = 1.4
#: From the end of a line to its label.
_LEADER: dict[str, Any] = {
    "arrowstyle": "-",
    "linewidth": 0.5,
    "relpos": (0, 0.5),
    "patchA": None,
    "shrinkA": 1,
    "shrinkB": 0,
}


@dataclass(frozen=True)
class Stored:
    """What a figure needs of a trajectory file."""

    x: NDArray[np.float64]
    y: Spread
    status: NDArray[np.int8]  # of the seeds, as far as the figure goes
    since: NDArray[np.int64]  # and the iteration at which they had it
    ended: NDArray[np.int64]  # how many seeds have ended, at each x
    undefined: str | None  # why, where nothing was trained
    bounds: dict[BoundName, NDArray[np.float64]]  # medians of what is laid over it

    @classmethod
    def read(cls, path: Path, run: str, plot: TrajectoryPlot) -> Stored:
        """Read a run. Raises UserError."""
        dataset = trajectory.open(path, run)
        spec = RunSpec.from_json(dataset.attrs["spec"], path)
        iteration = dataset["iteration"].to_numpy()
        kept = iteration <= (plot.last or np.inf)
        values = dataset[plot.y].to_numpy()[:, kept]
        x = np.broadcast_to(dataset[plot.x].to_numpy()[..., kept], values.shape).astype(float)
        # The cost of the seeds that still run: they hardly differ. Where none does, nothing is drawn.
        cost = np.fmax.reduce(x, axis=0)
        since = dataset["status_at"].to_numpy()
        status = np.where(since <= iteration[kept][-1], dataset["status"].to_numpy(), Status.FINISHED)
        ended = ((status != Status.FINISHED)[:, None] & (since[:, None] <= iteration[kept])).sum(axis=0)
        known = bounds(spec, dataset) if plot.overlay else {}
        laid = {name: spread(known[name].error[:, kept]).median for name in plot.overlay or () if name in known}
        return cls(cost, spread(values), status, since, ended, spec.undefined, laid)

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len(self.status)

    @property
    def ending(self) -> Status:
        """What ended most seeds, where the median becomes infinite; FINISHED where it does not."""
        return Status.FINISHED if np.isfinite(self.y.median[-1]) else most_frequent(counts(self.status))

    @property
    def is_line(self) -> bool:
        """Whether there is more to draw than a point."""
        return int((np.isfinite(self.y.median) & (self.y.median > 0)).sum()) > 1

    def extent(self, *, floor: bool) -> Extent | None:
        """What the y axis should make room for."""
        found = extent(self.y.median, floor=floor)
        if found is None:
            return None
        start = self.y.median[self.y.median > 0][0]
        rise = _RISE if self.ending is Status.FINISHED else _RISE_ENDING
        return found._replace(high=min(found.high, start * rise))


@dataclass(frozen=True)
class Line:
    """A run in a panel."""

    curve: Curve
    run: str
    stored: Stored
    color: ColorType
    level: Any  # of the plot's hue; None where the curve does not vary with it


@dataclass(frozen=True)
class Panel:
    """What is drawn into one pair of axes."""

    axes: Axes
    row: int  # the place of its level among those of the rows
    coordinates: dict[str, Any]
    lines: list[Line]


class View(NamedTuple):
    """The limits of the axes of a row of panels."""

    start: float
    end: float
    bottom: float
    top: float


def trajectories(request: Request, results: Path) -> Drawing:
    """Draw ``kind: trajectories``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, TrajectoryPlot)
    rows, columns = Facets.of(request.curves, plot.rows), Facets.of(request.curves, plot.columns)
    hues = _hues(request, plot)

    @cache
    def read(run: str) -> Stored:
        return Stored.read(results / "trajectories" / f"{run}.nc", run, plot)

    def lines(row: Any, column: Any) -> list[Line]:
        found = []
        for curve in request.curves:
            here = [run for run in curve.runs if rows.holds(curve, run, row) and columns.holds(curve, run, column)]
            for level, color in hues if curve.varies_with(plot.hue) else [(None, curve.style.color)]:
                runs = [run for run in here if level is None or run.point[str(plot.hue)] == level]
                if run := only_run(curve, runs, request.study):
                    found.append(Line(curve, run.run, read(run.run), color, level))
        return found

    cells = [(row, column) for row in rows.levels for column in columns.levels]
    abreast = len(columns.levels)
    wrapped = len(rows.levels) == 1 and abreast > _ABREAST
    if wrapped:  # a long row of panels goes on in the next line
        abreast = -(-len(cells) // -(-len(cells) // _ABREAST))
    page = Page(request, -(-len(cells) // abreast), abreast, sharex=True, sharey=True if wrapped else "row")
    places = [axes for line in page.axes for axes in line]
    panels = [
        Panel(axes, rows.levels.index(row), rows.coordinates(row) | columns.coordinates(column), lines(row, column))
        for axes, (row, column) in zip(places, cells, strict=False)
    ]
    for unused in places[len(cells) :]:
        unused.remove()

    views = [_view([one for one in panels if one.row == row], panels, plot) for row in range(len(rows.levels))]
    for panel in panels:
        _draw(panel, plot, views[panel.row])
    _label(page, panels, plot, views[0])
    page.arrange(_legend(request, plot, hues, panels), _notes(plot, panels, views))
    for panel in panels:  # now that the panels have their sizes
        _mark_ends(panel, views[panel.row])
    if plot.x == "iteration" and sum(curve.varies_with(plot.hue) for curve in request.curves) == 1:
        for panel in panels:
            _label_ends(panel, str(plot.hue))
        page.settle()
    return Drawing(page, pd.concat([_table(panel, line, plot) for panel in panels for line in panel.lines]))


def _hues(request: Request, plot: TrajectoryPlot) -> list[tuple[Any, ColorType]]:
    """The levels of the plot's hue, in order, with their colours."""
    varying = [curve for curve in request.curves if curve.varies_with(plot.hue)]
    levels = in_order(distinct(run.point[str(plot.hue)] for curve in varying for run in curve.runs))
    return list(zip(levels, ramp(len(levels)), strict=True))


def _view(row: Sequence[Panel], panels: Sequence[Panel], plot: TrajectoryPlot) -> View:
    """The limits of a row of panels. A curve that ends early sets no lower limit for the others."""
    lines = [line for panel in row for line in panel.lines]
    steady = [line for line in lines if line.stored.ending is Status.FINISHED] or lines
    bottom, top = window(found for line in steady if (found := line.stored.extent(floor=line.curve.is_floor)))
    risen = [found.high for line in lines if (found := line.stored.extent(floor=False))]
    laid = [bound for line in steady for bound in line.stored.bounds.values()]
    risen += [found.high for bound in laid if (found := extent(bound))]
    reached = [float(x) for panel in panels for line in panel.lines for x in line.stored.x if x > 0] or [1.0]
    return View(0.0 if plot.x == "iteration" else min(reached), max(reached), bottom, max([top, *risen]))


def _draw(panel: Panel, plot: TrajectoryPlot, view: View) -> None:
    axes = panel.axes
    log_y(axes, view.bottom, view.top)
    if plot.x != "iteration":
        axes.set_xscale("log", nonpositive="mask")
    axes.set_xlim(view.start, view.end)
    several = len({line.curve.label for line in panel.lines if line.level is not None}) > 1
    for place, line in enumerate(panel.lines):
        x, y = line.stored.x, line.stored.y
        look = line_style(line.curve.style, line.color, phase=place / len(panel.lines))
        if line.level is not None:
            look["linewidth"] = min(look["linewidth"], _THIN)
        # Drawn a little beyond the panel at most: a path that runs to 1e300 is no good in any viewer.
        low, high = (np.clip(edge, view.bottom * 1e-3, view.top * 1e3) for edge in (y.low, y.high))
        visible = np.isfinite(y.median) & (y.median > 0)
        if line.stored.is_line:
            axes.fill_between(x, low, high, where=visible, color=line.color, alpha=0.16, linewidth=0, zorder=1.5)
        axes.plot(
            x,
            np.where(visible, y.median, np.nan),
            **look,
            **(marker_style(line.curve.style, line.color) if several or line.level is None else {}),
            markevery=_marked(x, visible, view, place / len(panel.lines)),
            zorder=2 + 0.01 * place,
        )
        for name, bound in line.stored.bounds.items():
            shown = np.where(np.isfinite(bound) & (bound > 0), bound, np.nan)
            at_start = np.isfinite(shown).sum() == 1  # in expectation, where it holds nowhere else
            mark: dict[str, Any] = {"marker": "_", "markersize": 7} if at_start else {}
            axes.plot(x, shown, color=line.color, **BOUNDS[name].line, **mark, zorder=1.9)


def _marked(x: NDArray[np.float64], visible: NDArray[np.bool_], view: View, offset: float) -> list[int]:
    """Where markers go: evenly over the axis, and each curve at other places, so that none covers another."""
    places = np.flatnonzero(visible & (x >= view.start))
    if places.size == 0:
        return []
    along = np.log(x[places]) if view.start > 0 else x[places]
    wanted = along[0] + (np.arange(_MARKERS) + 0.15 + 0.7 * offset) / _MARKERS * (along[-1] - along[0])
    return sorted({int(places[np.abs(along - target).argmin()]) for target in wanted})


def _crossing(line: Line, top: float) -> tuple[float, float]:
    """Where a line ends because the median becomes infinite, or where it leaves the panel on its way there."""
    x, median = line.stored.x, line.stored.y.median
    after = int((~(median <= top)).argmax())
    if after == 0 or not np.isfinite(median[after]):
        return x[max(0, after - 1)], min(median[max(0, after - 1)], top)
    heights = np.log(median[after - 1 : after + 1])
    return float(np.interp(np.log(top), heights, x[after - 1 : after + 1])), top


def _mark_ends(panel: Panel, view: View) -> None:
    """Mark what ended curves. Marks that would cover each other stand side by side."""
    axes = panel.axes
    lines = [line for line in panel.lines if line.stored.ending is not Status.FINISHED]
    ends = [_crossing(line, view.top) for line in lines]
    to_parts = axes.transScale + axes.transLimits
    panel_size = axes.get_window_extent()
    across, up = (_MARK * axes.figure.dpi / 72 / size for size in (panel_size.width, panel_size.height))
    where = [to_parts.transform((max(x, view.start), y)) for x, y in ends]
    for level in {round(float(height) / up) for _, height in where}:  # marks that are about as high
        here = [place for place, (_, height) in enumerate(where) if round(float(height) / up) == level]
        for place, x in zip(here, apart([float(where[place][0]) for place in here], across), strict=True):
            look = mark_style(lines[place].stored.ending, lines[place].color)
            axes.plot([x], [where[place][1]], **look, transform=axes.transAxes, clip_on=False, zorder=5)


def _label(page: Page, panels: Sequence[Panel], plot: TrajectoryPlot, view: View) -> None:
    quantity, cost = QUANTITIES[plot.y], COSTS[plot.x]
    if len(page.axes[0]) < _ABREAST - 1:  # room for it in one line
        cost = cost.replace("\n", " ")
    for panel in panels:
        titles = [level_words(key, level) for key, level in panel.coordinates.items()]
        panel.axes.set_title(", ".join(words for words in titles if words))
        panel.axes.set_ylabel(f"{quantity.words} {quantity.symbol}")
        unit = cost_ticks(panel.axes, view.start, view.end) if plot.x != "iteration" else ""
        panel.axes.label_outer()
    for panel in panels[-len(page.axes[0]) :]:  # the lowest of each column, also where the last line is not full
        panel.axes.tick_params(labelbottom=True)
        panel.axes.set_xlabel(f"{cost} ({unit})" if unit else cost, linespacing=0.95)


def _legend(
    request: Request, plot: TrajectoryPlot, hues: Sequence[tuple[Any, ColorType]], panels: Sequence[Panel]
) -> list[Artist]:
    """The curves as requested; after the last one that varies with the hue, its levels; at the end, marks."""
    handles: list[Artist] = []
    varying = [curve.label for curve in request.curves if curve.varies_with(plot.hue)]
    for curve in request.curves:
        color = INK if curve.label in varying else None
        look = line_style(curve.style, color) | (marker_style(curve.style, color) if varying != [curve.label] else {})
        if curve.label in varying:
            look["linewidth"] = _THIN
        own = [line.stored for panel in panels for line in panel.lines if line.curve.label == curve.label]
        empty = not any(one.is_line for one in own)
        label = with_ending(curve.label, (one.ending for one in own)) if empty else curve.label
        handles.append(Line2D([], [], **look, label=literal(label)))
        if varying and curve.label == varying[-1]:
            handles += [
                Line2D([], [], color=shade, linewidth=3.0, label=level_words(plot.hue, level)) for level, shade in hues
            ]
    drawn = {name for panel in panels for line in panel.lines for name in line.stored.bounds}
    handles += [
        Line2D([], [], color=INK, **BOUNDS[name].line, label=BOUNDS[name].words)
        for name in plot.overlay or ()
        if name in drawn
    ]
    return handles + mark_legend(line.stored.ending for panel in panels for line in panel.lines)


def _notes(plot: TrajectoryPlot, panels: Sequence[Panel], views: Sequence[View]) -> list[str]:
    lines = [(line, views[panel.row]) for panel in panels for line in panel.lines]
    notes = [f"Lines: median over {seeds_of(line.stored.seeds for line, _ in lines)}; bands: interquartile range."]
    drawn = {name for line, _ in lines for name in line.stored.bounds}
    overlaid = [BOUNDS[name] for name in plot.overlay or () if name in drawn]
    notes += [f"{bound.words.capitalize()}: {bound.meaning}." for bound in overlaid]
    runs = {line.run: line for line, _ in lines}.values()
    lost = []
    for label in dict.fromkeys(line.curve.label for line in runs):
        own = [line.stored for line in runs if line.curve.label == label]
        status, since = (np.concatenate([getattr(one, name) for one in own]) for name in ("status", "since"))
        if found := told(status, since):
            lost.append(f"{label} ({', '.join(found)})")
    if lost:
        notes.append("A seed that ends early counts as infinite; where the median does, a mark says why.")
        notes.append("Where marks meet they stand side by side.")
    notes += sentence("Ended early, by iteration", lost)
    notes += _undefined([line for line, _ in lines], plot.hue)
    ranged = [(line, line.stored.y.median[np.isfinite(line.stored.y.median)], view) for line, view in lines]
    for start, chosen in {
        "Falls below its panel": [line for line, shown, view in ranged if shown.size and 0 < shown[-1] < view.bottom],
        "Rises above its panel": [
            line
            for line, shown, view in ranged
            if line.stored.ending is Status.FINISHED and shown.size and shown.max() > view.top
        ],
        "Zero throughout, so not drawn": [line for line, shown, _ in ranged if shown.size and not shown.any()],
        "The same in every panel": [
            line for line, _ in lines if len(panels) > 1 and all(_is_in(line, panel) for panel in panels)
        ],
    }.items():
        points = [(line.curve.label, line.level) for line in chosen]
        notes += sentence(start, named(points, [(line.curve.label, line.level) for line, _ in lines], plot.hue))
    return notes


def _undefined(lines: Sequence[Line], hue: str | None) -> list[str]:
    """Which curves are undefined, and why, if the reason is the same for all."""
    some = [line for line in lines if line.stored.undefined]
    reasons = distinct(line.stored.undefined for line in some)
    start = "Undefined, " + (reasons[0] if len(reasons) == 1 else "as the rule bears fewer liars")
    places = [(line.curve.label, line.level) for line in lines]
    return sentence(start, named([(line.curve.label, line.level) for line in some], places, hue))


def _is_in(line: Line, panel: Panel) -> bool:
    return any(other.run == line.run and other.curve.label == line.curve.label for other in panel.lines)


def _label_ends(panel: Panel, hue: str) -> None:
    """Write the level of each line beside its end, the labels moved apart as far as they need to be."""
    axes = panel.axes
    bottom, top = np.log(axes.get_ylim())
    ends = [(line, line.stored.y.median[-1]) for line in panel.lines if line.level is not None]
    heights = {line.run: (np.log(end) - bottom) / (top - bottom) for line, end in ends if np.isfinite(end) and end > 0}
    labelled = [line for line, _ in ends if 0 <= heights.get(line.run, -1) <= 1]
    points = axes.get_window_extent().height / axes.figure.dpi * 72
    places = apart([heights[line.run] for line in labelled], gap=TICK / points)
    for line, place in zip(labelled, places, strict=True):
        axes.annotate(
            value_words(hue, line.level),
            xy=(1, heights[line.run]),
            xytext=(1.05, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            size=TICK - 0.5,
            color=line.color,
            va="center",
            annotation_clip=False,
            arrowprops=_LEADER | {"color": line.color},
        )


def _table(panel: Panel, line: Line, plot: TrajectoryPlot) -> pd.DataFrame:
    stored = line.stored
    return pd.DataFrame(
        {
            **panel.coordinates,
            **({plot.hue: line.level} if plot.hue else {}),
            "curve": line.curve.label,
            "method": line.curve.method,
            "run": line.run,
            "x": stored.x,
            "median": stored.y.median,
            "q25": stored.y.low,
            "q75": stored.y.high,
            "seeds": stored.seeds,
            "ended": stored.ended,
            "ending": stored.ending.word,
            **{f"bound_{name}": bound for name, bound in stored.bounds.items()},
        }
    )
