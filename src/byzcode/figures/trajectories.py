"""A quantity against iteration or cost: median over seeds with an interquartile band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from byzcode.figures.columns import with_levels
from byzcode.figures.line_words import THIN, by_style, legend, notes
from byzcode.figures.lines import Line, Panel, Stored, View
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Facets, Request, distinct, in_order, only_run
from byzcode.figures.scale import apart, cost_ticks, log_y, near, share_y
from byzcode.figures.style import (
    BOUNDS,
    COSTS,
    QUANTITIES,
    TICK,
    level_words,
    line_style,
    mark_style,
    marker_style,
    ramp,
    value_words,
)
from byzcode.storage.layout import trajectory
from byzcode.studies.plots import Measure, TrajectoryPlot
from byzcode.training.status import Status

#: The number of markers on a line, and the largest number of panels side by side.
_MARKERS, _ABREAST = 5, 4
#: The extra height for a row of panels with an x axis of its own, in inches.
_X_LABELS = 0.3
#: The distance between the centres of neighbouring marks, in points.
_MARK = 8.0
#: The room beside a panel for the labels of its lines, in inches.
_BESIDE = 1.1
#: The style of the leader from the end of a line to its label.
_LEADER: dict[str, Any] = {
    "arrowstyle": "-",
    "linewidth": 0.5,
    "relpos": (0, 0.5),
    "patchA": None,
    "shrinkA": 1,
    "shrinkB": 0,
}


def trajectories(request: Request, results: Path) -> Drawing:
    """Draw ``kind: trajectories``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, TrajectoryPlot)
    return drawn(request, plot, lambda run, measure: Stored.read(trajectory(results, run), run, plot, measure))


def drawn(request: Request, plot: TrajectoryPlot, stored: Callable[[str, Measure], Stored]) -> Drawing:
    """Draw the figure from what is stored of each run. Raises UserError."""
    rows, columns = Facets.of(request.curves, plot.rows), Facets.of(request.curves, plot.columns)
    hues, read = _hues(request, plot), cache(stored)

    def lines_of(row: Any, column: Any, measure: Measure) -> list[Line]:
        lines = []
        for curve in request.curves:
            in_panel = [run for run in curve.runs if rows.holds(curve, run, row) and columns.holds(curve, run, column)]
            for level, color in hues if curve.varies_with(plot.hue) else [(None, None)]:
                runs = [run for run in in_panel if level is None or run.point[str(plot.hue)] == level]
                if run := only_run(curve, runs, request.study):
                    lines.append(Line(curve, run, read(run.run, measure), color or run.style.color, level))
        return lines

    bands = [(row, measure) for row in rows.levels for measure in plot.measures]
    lines_each, abreast = _wrapped(len(columns.levels), alone=len(rows.levels) == 1)
    apart_in_x = len({measure.x for measure in plot.measures}) - 1
    page = Page(request, len(bands) * lines_each, abreast, extra=apart_in_x * _X_LABELS)
    panels: list[Panel] = []
    for number, (row, measure) in enumerate(bands):
        grid = [axes for line in page.axes[number * lines_each :][:lines_each] for axes in line]
        for axes, column in zip(grid, columns.levels, strict=False):
            levels = rows.level("rows", row) | columns.level("columns", column)
            panels.append(Panel(axes, measure, number, levels, lines_of(row, column, measure)))
        for unused in grid[len(columns.levels) :]:
            unused.remove()

    alike = [[panel for panel in panels if panel.measure.x == measure.x] for _, measure in bands]
    views = [View.of([panel for panel in panels if panel.row == number], alike[number]) for number in range(len(bands))]
    for panel in panels:
        _draw(panel, views[panel.row], hued=not by_style(request, plot))
        if not any(views[panel.row].shows(line) or _is_marked(line) for line in panel.lines):
            page.nothing_in(panel.axes)
    _label(page, panels, request, plot, views)
    page.arrange(legend(request, plot, hues, panels), notes(request, plot, panels, views))
    for panel in panels:  # the panels have their final sizes only now
        _mark_ends(panel, views[panel.row])
    if sum(curve.varies_with(plot.hue) for curve in request.curves) == 1:
        beside = [panel for panel in panels if panel.measure.x == "iteration"]
        for panel in beside:
            _label_ends(page, panel, str(plot.hue))
        if beside:
            page.refit()
    return Drawing(page, pd.concat([_table(panel, line, plot) for panel in panels for line in panel.lines]))


def _wrapped(columns: int, *, alone: bool) -> tuple[int, int]:
    """The number of lines of panels for a row of them, and of panels in a line; a long row that is alone continues."""
    if not alone or columns <= _ABREAST:
        return 1, columns
    lines = -(-columns // _ABREAST)
    return lines, -(-columns // lines)


def _hues(request: Request, plot: TrajectoryPlot) -> list[tuple[Any, ColorType | None]]:
    """The levels of the plot's hue, in order, with their colours; None if styles determine the colours."""
    varying = [curve for curve in request.curves if curve.varies_with(plot.hue)]
    levels = in_order(distinct(run.point[str(plot.hue)] for curve in varying for run in curve.runs))
    colors = [None] * len(levels) if by_style(request, plot) else ramp(len(levels))
    return list(zip(levels, colors, strict=True))


def _draw(panel: Panel, view: View, *, hued: bool) -> None:
    axes = panel.axes
    if view.share:
        share_y(axes)
    else:
        log_y(axes, view.bottom, view.top)
    if panel.measure.x != "iteration":
        axes.set_xscale("log", nonpositive="mask")
    axes.set_xlim(view.start, view.end)
    several = len({line.curve.label for line in panel.lines if line.level is not None}) > 1
    for place, line in enumerate(panel.lines):
        x, y, visible = line.stored.x, line.stored.y, line.stored.visible
        look = line_style(line.style, line.color, phase=place / len(panel.lines))
        if line.level is not None and hued:
            look["linewidth"] = min(look["linewidth"], THIN)
        if line.stored.is_line:
            # Clip slightly beyond the panel, because viewers cannot handle paths that run to 1e300.
            low, high = (near(edge, view.bottom, view.top) for edge in line.stored.band)
            axes.fill_between(x, low, high, where=visible, color=line.color, alpha=0.16, linewidth=0, zorder=1.5)
        axes.plot(
            x,
            np.where(visible, y.median, np.nan),
            **look,
            **(marker_style(line.style, line.color) if several or line.level is None or not hued else {}),
            markevery=_marked(x, visible, view, place / len(panel.lines)),
            zorder=2 + 0.01 * place,
        )
        if not _is_marked(line) and (alone := _alone(visible)).any():  # an isolated point would be invisible
            axes.plot(x[alone], y.median[alone], **marker_style(line.style, line.color), linestyle="none", zorder=2)
        for name, bound in line.stored.bounds.items():
            shown = np.where(np.isfinite(bound) & (bound > 0), bound, np.nan)
            at_start = np.isfinite(shown).sum() == 1  # a bound in expectation may hold only at the start
            mark: dict[str, Any] = {"marker": "_", "markersize": 7} if at_start else {}
            axes.plot(x, shown, color=line.color, **BOUNDS[name].line, **mark, zorder=1.9)


def _alone(visible: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Visible points without a visible neighbour."""
    around = np.pad(visible, 1)
    isolated: NDArray[np.bool_] = visible & ~around[:-2] & ~around[2:]
    return isolated


def _marked(x: NDArray[np.float64], visible: NDArray[np.bool_], view: View, offset: float) -> list[int]:
    """The indices of markers: evenly over the axis, shifted for each curve so that markers do not overlap."""
    places = np.flatnonzero(visible & (x >= view.start) & (x > 0 if view.start > 0 else True))
    if places.size == 0:
        return []
    along = np.log(x[places]) if view.start > 0 else x[places]
    wanted = along[0] + (np.arange(_MARKERS) + 0.15 + 0.7 * offset) / _MARKERS * (along[-1] - along[0])
    return sorted({int(places[np.abs(along - target).argmin()]) for target in wanted})


def _is_marked(line: Line) -> bool:
    """Whether a line has a mark at its end."""
    return line.stored.ending is not Status.FINISHED


def _crossing(line: Line, view: View) -> tuple[float, float]:
    """The point where a line ends because its median becomes infinite, or where it leaves the panel before that."""
    x, median = line.stored.x, line.stored.y.median
    after = int((~(np.isfinite(median) & (median <= view.top))).argmax())
    before = max(0, after - 1)
    if after == 0 or not np.isfinite(median[after]) or median[before] <= 0:
        height = float(np.clip(median[before], view.bottom, view.top))
        return float(x[before]) if np.isfinite(x[before]) else view.start, height
    heights = np.log(median[before : after + 1])
    return float(np.interp(np.log(view.top), heights, x[before : after + 1])), view.top


def _mark_ends(panel: Panel, view: View) -> None:
    """Mark where curves ended early; draw marks that would overlap side by side.

    A mark stands on the edge of the panel, at the iteration where the median ended. A thin line leads to it from where
    the curve left the panel.
    """
    axes = panel.axes
    lines = [line for line in panel.lines if _is_marked(line)]
    exits = [_crossing(line, view) for line in lines]
    ends = [_end(line, view, at) for line, at in zip(lines, exits, strict=True)]
    to_parts = axes.transScale + axes.transLimits
    panel_size = axes.get_window_extent()
    across, up = (_MARK * axes.figure.dpi / 72 / size for size in (panel_size.width, panel_size.height))
    where = [to_parts.transform((max(x, view.start), y)) for x, y in ends]
    left = [to_parts.transform((max(x, view.start), y)) for x, y in exits]
    for level in {round(float(height) / up) for _, height in where}:  # marks at about the same height
        beside = [place for place, (_, height) in enumerate(where) if round(float(height) / up) == level]
        for place, x in zip(beside, apart([float(where[place][0]) for place in beside], across), strict=True):
            color, height = lines[place].color, where[place][1]
            look = mark_style(lines[place].stored.ending, color)
            path: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False, "color": color}
            axes.plot([left[place][0], x], [left[place][1], height], **path, linewidth=0.8, zorder=4)
            axes.plot([x], [height], **look, transform=axes.transAxes, clip_on=False, zorder=5)


def _end(line: Line, view: View, left: tuple[float, float]) -> tuple[float, float]:
    """The place of the mark of a line that ended early; ``left`` is where it leaves the panel."""
    end = line.stored.end
    if line.stored.ending is Status.UNDEFINED or not np.isfinite(end):
        return left
    return min(max(end, left[0]), view.end), view.bottom if view.share else view.top


def _label(page: Page, panels: Sequence[Panel], request: Request, plot: TrajectoryPlot, views: Sequence[View]) -> None:
    abreast = len(page.axes[0])
    first_in_line, units = {id(line[0]) for line in page.axes}, dict[str, str]()
    for panel in panels:
        quantity, view = QUANTITIES[panel.measure.y], views[panel.row]
        if panel.measure.y == plot.quantities[0] and panel.measure.x == plot.measures[0].x:
            titles = [level_words(request.shown(getattr(plot, field)), level) for field, level in panel.levels.items()]
            panel.axes.set_title(", ".join(words for words in titles if words))
        is_first = id(panel.axes) in first_in_line
        panel.axes.set_ylabel(f"{quantity.words} {quantity.symbol}".strip() if is_first else "")
        panel.axes.tick_params(labelleft=is_first, labelbottom=False)
        if panel.measure.x != "iteration":
            units[panel.measure.x] = cost_ticks(panel.axes, view.start, view.end)
    for x in distinct(panel.measure.x for panel in panels):
        alike = [panel for panel in panels if panel.measure.x == x]
        for panel in alike[-abreast:]:  # the lowest of each column, even if the last row is not full
            panel.axes.tick_params(labelbottom=True)
            words = COSTS[x] + (f" ({units[x]})" if units.get(x) else "")
            # The label fits on one line if there are few panels side by side.
            panel.axes.set_xlabel(words.replace("\n", " ") if abreast < _ABREAST - 1 else words, linespacing=0.95)


def _label_ends(page: Page, panel: Panel, hue: str) -> None:
    """Write the level of each line beside its end, with labels moved apart as needed.

    If there are too many, only the legend shows them.
    """
    axes = panel.axes
    share = all(line.stored.share for line in panel.lines)
    scaled = np.asarray if share else np.log
    bottom, top = scaled(axes.get_ylim())
    ends = [(line, line.stored.y.median[-1]) for line in panel.lines if line.level is not None]
    heights = {
        line.run.run: (scaled(end) - bottom) / (top - bottom)
        for line, end in ends
        if np.isfinite(end) and (end > 0 or share)
    }
    labelled = [line for line, _ in ends if 0 <= heights.get(line.run.run, -1) <= 1]
    words = [page.ruler.wrapped(value_words(hue, line.level), _BESIDE, TICK - 0.5, math=True) for line in labelled]
    lines = max((each.count("\n") + 1 for each in words), default=1)
    gap = lines * TICK / (axes.get_window_extent().height / axes.figure.dpi * 72)
    if gap * len(labelled) > 1:
        return
    places = apart([heights[line.run.run] for line in labelled], gap=gap)
    for line, label, place in zip(labelled, words, places, strict=True):
        axes.annotate(
            label,
            xy=(1, heights[line.run.run]),
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
    several = {name: value for name, value in panel.measure._asdict().items() if isinstance(getattr(plot, name), list)}
    own = {
        **{f"{name}_shown": value for name, value in several.items()},
        "curve": line.curve.label,
        "method": line.run.method,
        "run": line.run.run,
        "x": stored.x,
        "median": stored.y.median,
        "q25": stored.y.low,
        "q75": stored.y.high,
        "seeds": stored.seeds,
        "ended": stored.ended,
        "ending": stored.ending.word,
        **{f"bound_{name}": bound for name, bound in stored.bounds.items()},
    }
    levels = dict(panel.levels) | ({"hue": line.level} if plot.hue else {})
    return pd.DataFrame(with_levels(plot, levels, own))
