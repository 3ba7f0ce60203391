"""A quantity against iteration or cost: median over seeds with an interquartile band."""

from __future__ import annotations

from collections.abc import Sequence
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
from byzcode.studies.study import TrajectoryPlot
from byzcode.training.status import Status

#: The number of markers on a line, and the largest number of panels side by side.
_MARKERS, _ABREAST = 5, 4
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
    rows, columns = Facets.of(request.curves, plot.rows), Facets.of(request.curves, plot.columns)
    hues = _hues(request, plot)

    @cache
    def read(run: str) -> Stored:
        return Stored.read(trajectory(results, run), run, plot)

    def lines_of(row: Any, column: Any) -> list[Line]:
        lines = []
        for curve in request.curves:
            in_panel = [run for run in curve.runs if rows.holds(curve, run, row) and columns.holds(curve, run, column)]
            for level, color in hues if curve.varies_with(plot.hue) else [(None, None)]:
                runs = [run for run in in_panel if level is None or run.point[str(plot.hue)] == level]
                if run := only_run(curve, runs, request.study):
                    lines.append(Line(curve, run, read(run.run), color or run.style.color, level))
        return lines

    cells = [(row, column) for row in rows.levels for column in columns.levels]
    abreast = len(columns.levels)
    wrapped = len(rows.levels) == 1 and abreast > _ABREAST
    if wrapped:  # a long row of panels continues in the next line
        abreast = -(-len(cells) // -(-len(cells) // _ABREAST))
    page = Page(request, -(-len(cells) // abreast), abreast, sharex=True, sharey=True if wrapped else "row")
    places = [axes for line in page.axes for axes in line]
    panels = [
        Panel(
            axes,
            rows.levels.index(row),
            rows.level("rows", row) | columns.level("columns", column),
            lines_of(row, column),
        )
        for axes, (row, column) in zip(places, cells, strict=False)
    ]
    for unused in places[len(cells) :]:
        unused.remove()

    views = [View.of([panel for panel in panels if panel.row == row], panels, plot) for row in range(len(rows.levels))]
    for panel in panels:
        _draw(panel, plot, views[panel.row], hued=not by_style(request, plot))
        if not any(views[panel.row].shows(line) or _is_marked(line) for line in panel.lines):
            page.nothing_in(panel.axes)
    _label(page, panels, plot, views[0])
    page.arrange(legend(request, plot, hues, panels), notes(plot, panels, views))
    for panel in panels:  # the panels have their final sizes only now
        _mark_ends(panel, views[panel.row])
    if plot.x == "iteration" and sum(curve.varies_with(plot.hue) for curve in request.curves) == 1:
        for panel in panels:
            _label_ends(page, panel, str(plot.hue))
        page.settle()
    return Drawing(page, pd.concat([_table(panel, line, plot) for panel in panels for line in panel.lines]))


def _hues(request: Request, plot: TrajectoryPlot) -> list[tuple[Any, ColorType | None]]:
    """The levels of the plot's hue, in order, with their colours; None if styles determine the colours."""
    varying = [curve for curve in request.curves if curve.varies_with(plot.hue)]
    levels = in_order(distinct(run.point[str(plot.hue)] for curve in varying for run in curve.runs))
    colors = [None] * len(levels) if by_style(request, plot) else ramp(len(levels))
    return list(zip(levels, colors, strict=True))


def _draw(panel: Panel, plot: TrajectoryPlot, view: View, *, hued: bool) -> None:
    axes = panel.axes
    if view.share:
        share_y(axes)
    else:
        log_y(axes, view.bottom, view.top)
    if plot.x != "iteration":
        axes.set_xscale("log", nonpositive="mask")
    axes.set_xlim(view.start, view.end)
    several = len({line.curve.label for line in panel.lines if line.level is not None}) > 1
    for place, line in enumerate(panel.lines):
        x, y, visible = line.stored.x, line.stored.y, line.stored.visible
        look = line_style(line.style, line.color, phase=place / len(panel.lines))
        if line.level is not None and hued:
            look["linewidth"] = min(look["linewidth"], THIN)
        # Clip slightly beyond the panel, because viewers cannot handle paths that run to 1e300.
        low, high = (near(edge, view.bottom, view.top) for edge in (y.low, y.high))
        if line.stored.is_line:
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
    """Mark the ends of curves that ended early; draw marks that would overlap side by side."""
    axes = panel.axes
    lines = [line for line in panel.lines if _is_marked(line)]
    ends = [_crossing(line, view) for line in lines]
    to_parts = axes.transScale + axes.transLimits
    panel_size = axes.get_window_extent()
    across, up = (_MARK * axes.figure.dpi / 72 / size for size in (panel_size.width, panel_size.height))
    where = [to_parts.transform((max(x, view.start), y)) for x, y in ends]
    for level in {round(float(height) / up) for _, height in where}:  # marks at about the same height
        beside = [place for place, (_, height) in enumerate(where) if round(float(height) / up) == level]
        for place, x in zip(beside, apart([float(where[place][0]) for place in beside], across), strict=True):
            look = mark_style(lines[place].stored.ending, lines[place].color)
            axes.plot([x], [where[place][1]], **look, transform=axes.transAxes, clip_on=False, zorder=5)


def _label(page: Page, panels: Sequence[Panel], plot: TrajectoryPlot, view: View) -> None:
    quantity, cost = QUANTITIES[plot.y], COSTS[plot.x]
    if len(page.axes[0]) < _ABREAST - 1:  # the label fits on one line
        cost = cost.replace("\n", " ")
    for panel in panels:
        titles = [level_words(getattr(plot, field), level) for field, level in panel.levels.items()]
        panel.axes.set_title(", ".join(words for words in titles if words))
        panel.axes.set_ylabel(f"{quantity.words} {quantity.symbol}".strip())
        unit = cost_ticks(panel.axes, view.start, view.end) if plot.x != "iteration" else ""
        panel.axes.label_outer()
    for panel in panels[-len(page.axes[0]) :]:  # the lowest of each column, even if the last row is not full
        panel.axes.tick_params(labelbottom=True)
        panel.axes.set_xlabel(f"{cost} ({unit})" if unit else cost, linespacing=0.95)


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
    own = {
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
