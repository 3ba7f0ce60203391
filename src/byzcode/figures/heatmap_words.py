"""The words around a heatmap: its legend, its notes, and the table of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.path import Path

from byzcode.analysis.spread import spread
from byzcode.figures.columns import with_levels
from byzcode.figures.heatmap_cells import Cell, Panel, mean
from byzcode.figures.heatmap_print import Print
from byzcode.figures.heatmap_scale import Scale
from byzcode.figures.request import Request
from byzcode.figures.style import INK, QUANTITIES, axis_words, mark_legend
from byzcode.figures.words import in_plain, named, seeds_of, sentence
from byzcode.specs.quantities import ESTIMATE, is_share
from byzcode.studies.plots import HeatmapPlot
from byzcode.training.status import Status

#: The mark of a cell in which some seeds ended early: a triangle that fills a corner.
CORNER: dict[str, Any] = {
    "marker": Path([(-1, 0), (0, 0), (0, -1), (-1, 0)], closed=True),
    "markersize": 6.5,
    "markeredgewidth": 0.0,
    "linestyle": "none",
}
#: The line around the cells that have a bound.
FRAME: dict[str, Any] = {"color": "#D62728", "linewidth": 1.6, "solid_capstyle": "projecting", "clip_on": False}
#: What an average over seeds is called, and the spread around it.
_AVERAGES = {"median": ("median", "half the interquartile range"), "mean": ("mean", "the standard deviation")}


def quantity_words(plot: HeatmapPlot) -> str:
    """The quantity of a heatmap, with its unit."""
    words = QUANTITIES[plot.y].words
    if plot.regret:
        return f"{words} over that with the true value"
    return f"{words}, %" if is_share(plot.y) else f"{words} {QUANTITIES[plot.y].symbol}".strip()


def legend(plot: HeatmapPlot, cells: Sequence[Cell]) -> list[Artist]:
    """The artists of the legend: the marks that occur."""
    handles = mark_legend(cell.ending for cell in cells)
    if any(cell.is_partial for cell in cells):
        handles.append(Line2D([], [], **CORNER, color=INK, label="some seeds ended early"))
    if plot.threshold and any(cell.is_bounded for cell in cells):
        handles.append(Line2D([], [], **FRAME, label="within the frame \N{GREEK SMALL LETTER RHO} < 1"))
    return handles


def notes(request: Request, plot: HeatmapPlot, cells: Sequence[Cell], written: Print, scale: Scale) -> list[str]:
    """The notes below the panels."""
    average, around = _AVERAGES[plot.average]
    seeds = {len(cell.seeds.level) for cell in cells if cell.seeds is not None}
    unit = ", in percent" if is_share(plot.y) else ""
    where = "Small print" if written.with_spread else "In the table beside the figure"
    lines = [
        f"Numbers: {average} over {seeds_of(seeds)} of the level over the last fifth of training{unit}. "
        f"{where}: {around}.",
        *_lone_seed(seeds),
    ]
    if plot.regret and plot.down:
        rows, columns = (in_plain(axis_words(request.shown(key))) for key in (plot.down, plot.x))
        lines.append(
            f"Each number is divided, seed by seed, by that of its column at equal values: {rows} = {columns}."
        )
    if plot.worst:
        lowest = "lowest" if is_share(plot.y) else "highest"
        lines.append(f"Worst case: for each seed the {lowest} value of its row, then the {average} over seeds.")
    if scale.drawn and plot.y != ESTIMATE:
        lines.append("Brighter is better.")
    lines += _on_endings(plot, cells, written)
    if scale.extend != "neither":
        lines.append("Numbers beyond the colour bar have the colour of its end.")
    lines += _on_dashes(request, plot, cells)
    if any(cell.number is not None and np.isinf(cell.number) for cell in cells):
        lines.append("\N{INFINITY}: infinite, although too few seeds had ended early to show their mark.")
    every = {curve.label for curve in request.curves if not curve.varies_with(plot.x)}
    fixed = [label for label in every if len({cell.x for cell in cells if cell.curve.label == label and cell.run}) > 1]
    lines += sentence("The same run in every column", [c.label for c in request.curves if c.label in fixed])
    return lines


def _lone_seed(seeds: set[int]) -> list[str]:
    if 1 not in seeds:
        return []
    return [f"{'A run with a single seed' if len(seeds) > 1 else 'A single seed'} has no spread."]


def _on_endings(plot: HeatmapPlot, cells: Sequence[Cell], written: Print) -> list[str]:
    lines = []
    if any(cell.ending is not Status.FINISHED for cell in cells):
        least = "at least half of the seeds"
        if plot.average == "mean" and not is_share(plot.y):
            least = "a seed"
        lines.append(f"A mark instead of a number: {least} ended this way.")
    if any(cell.is_partial for cell in cells):
        counted = "a share of 0" if plot.average == "mean" else "the worst"
        lines.append(f"A seed that ended early counts as {counted}.")
    if written.with_spread and any(cell.number is not None and np.isinf(cell.average.spread) for cell in cells):
        lines.append("Without small print: the spread is infinite.")
    return lines


def _on_dashes(request: Request, plot: HeatmapPlot, cells: Sequence[Cell]) -> list[str]:
    """What a dash stands for: no run, a quantity that is not measured, or a row whose worst case is not known."""
    dashes = [cell for cell in cells if cell.number is None and cell.ending is Status.FINISHED]
    own = [cell for cell in cells if not cell.is_worst]
    points = [(cell.curve.label, cell.x) for cell in own]
    key = request.shown(plot.x)
    reasons = {
        "A dash: no such run in this study": [cell for cell in dashes if cell.seeds is None and not cell.is_worst],
        "Not measured, so a dash": [cell for cell in dashes if cell.seeds is not None and not cell.is_worst],
    }
    lines = []
    for start, chosen in reasons.items():
        lines += sentence(start, named([(cell.curve.label, cell.x) for cell in chosen], points, key))
    if any(cell.is_worst for cell in dashes):
        lines.append("A row with a dash has no worst case.")
    return lines


def table(panels: Sequence[Panel], plot: HeatmapPlot) -> pd.DataFrame:
    """The numbers of all cells that have a run, with those of the worst cases, which have no run of their own."""

    def row(cell: Cell) -> dict[str, Any]:
        assert cell.seeds is not None
        over, around = spread(cell.seeds.level, more_is_better=is_share(plot.y)), mean(cell.seeds.level, plot.y)
        return {
            "quantity": plot.y,
            "curve": cell.curve.label,
            "method": cell.curve.method if cell.run is None else cell.run.method,
            "run": None if cell.run is None else cell.run.run,
            "x": cell.x,
            "median": float(over.median),
            "q25": float(over.low),
            "q75": float(over.high),
            "mean": around.value,
            "deviation": around.spread,
            "seeds": len(cell.seeds.level),
            **{ending.word: count for ending, count in cell.ended.items()},
            **({"rho": cell.seeds.rho} if plot.threshold else {}),
        }

    return pd.DataFrame(
        with_levels(plot, panel.levels | ({"down": line.down} if plot.down else {}), row(cell))
        for panel in panels
        for line, cells in zip(panel.lines, panel.rows, strict=True)
        for cell in cells
        if cell.seeds is not None
    )
