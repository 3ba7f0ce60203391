"""The level of a quantity as coloured cells with numbers: curves against a key, and the worst case over its values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from byzcode.figures.heatmap_cells import WORST, Cell, Panel, levels_of, lines_of, reader, rows_of
from byzcode.figures.heatmap_print import Print, fitting, written
from byzcode.figures.heatmap_scale import Scale, scale_of
from byzcode.figures.heatmap_words import CORNER, FRAME, legend, notes, quantity_words, table
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Facets, Request
from byzcode.figures.scale import Slots, log_ticks
from byzcode.figures.style import INK, LABEL, SOFT, TICK, axis_words, level_words, literal, mark_style, number
from byzcode.specs.quantities import ESTIMATE, is_share
from byzcode.studies.plots import HeatmapPlot
from byzcode.training.status import Status

#: The width of a row's label, of the colour bar with its words, and between panels, in inches.
_LABEL, _BAR, _BETWEEN = 1.55, 0.75, 0.12
#: The height of the names below the lowest panels, with the label of their axis, in inches.
_BELOW = 0.8
#: The most cells side by side on a page that is narrower for few panels.
_NARROW = 6
#: The height of the colour bar in inches, at most.
_TALLEST = 2.6
#: The distance of the ticks beside it in inches, and the fewest that a logarithmic one can choose its ticks from.
_TICKS, _FEW = 0.25, 5
#: The fill of a cell with a mark instead of a number.
_GREY = "#DCDCDC"
#: The place of the mark in the corner of a cell, from its centre.
_OUT = 0.47


def heatmap(request: Request, results: Path) -> Drawing:
    """Draw ``kind: heatmap``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, HeatmapPlot)
    rows, columns = Facets.of(request.curves, plot.rows), Facets.of(request.curves, plot.columns)
    values, read = levels_of(request, plot.x), reader(results, plot.y)
    places = Slots(plot.x, values, WORST if plot.worst else None)
    beside = request.curves if plot.down else columns.levels  # what the columns of panels are
    across = len(places.ticks) * len(beside)
    size: dict[str, Any] = {"wide": across > _NARROW, "extra": _BELOW}
    page = Page(request, len(rows.levels), len(beside), **size, sharex=True, sharey=True)
    panels = []
    for axes, (row, each) in zip(itertools.chain(*page.axes), itertools.product(rows.levels, beside), strict=True):
        curve, column = (each, None) if plot.down else (None, each)
        lines = lines_of(request, plot, curve)
        levels = rows.level("rows", row) | columns.level("columns", column)
        facets = [(rows, row), (columns, column)]
        panels.append(Panel(axes, levels, lines, rows_of(request, plot, read, lines, facets, values)))
    cells = [cell for panel in panels for cell in panel.cells]
    labels = [page.ruler.wrapped(literal(line.label), _LABEL, TICK, math=True, most=3) for line in panels[0].lines]
    style = fitting(cells, _cell_width(page, labels, len(places.ticks)), page.ruler)
    most = max(label.count("\n") + 1 for label in labels)
    page.panel_height = max(
        len(labels) * max(style.height, (most * TICK * 1.1 + 3.0) / 72),
        _longest_word(page, request, plot, rows) if columns.key else 0.0,
    )
    scale = scale_of(cells, plot.y, regret=plot.regret)
    for panel in panels:
        places.dress(panel.axes)
        _dress(panel, labels)
        for row, at in itertools.product(range(len(labels)), range(len(places.ticks))):
            _draw(panel.axes, places.ticks[at], row, panel.rows[row][at], style, scale)
        if plot.threshold:
            _enclose(panel, places.ticks)
    _name_panels(page, request, plot, columns, rows)
    if scale.drawn:
        _color_bar(page, plot, scale)
    page.arrange(legend(plot, cells), notes(request, plot, cells, style, scale), places)
    return Drawing(page, table(panels, plot))


def _longest_word(page: Page, request: Request, plot: HeatmapPlot, rows: Facets) -> float:
    """The width of the longest word beside the rows of panels, in inches."""
    words = [word for level in rows.levels for word in level_words(request.shown(plot.rows), level).split()]
    return 1.05 * max((page.ruler.width(word, LABEL, math=True) for word in words), default=0.0)


def _cell_width(page: Page, labels: Sequence[str], columns: int) -> float:
    """The width of a cell in inches, before the page is arranged: at least as wide as it will be."""
    words = max(page.ruler.width(line, TICK, math=True) for label in labels for line in label.split("\n"))
    panels = len(page.axes[0])
    beside = LABEL * 1.6 / 72 if panels > 1 else 0.0  # the name of a row of panels
    return (page.width - words - _BAR - 0.2 - panels * _BETWEEN - beside) / (panels * (columns + 0.3))


def _dress(panel: Panel, labels: Sequence[str]) -> None:
    """The names of the rows of a panel, the first at the top."""
    axes = panel.axes
    axes.set_yticks(range(len(labels)), labels, linespacing=1.0)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(length=0.0)
    axes.grid(visible=False)
    axes.spines[:].set_color("none")
    axes.label_outer()


def _name_panels(page: Page, request: Request, plot: HeatmapPlot, columns: Facets, rows: Facets) -> None:
    """Title the columns of panels, and the rows of panels beside them; rows without columns have titles, too."""
    if plot.down:
        for axes, curve in zip(page.axes[0], request.curves, strict=True):
            axes.set_title(literal(curve.label))
    else:
        for axes, level in zip(page.axes[0], columns.levels, strict=True):
            axes.set_title(level_words(request.shown(plot.columns), level if columns.key else None))
    for line, level in zip(page.axes, rows.levels, strict=True):
        words = level_words(request.shown(plot.rows), level if rows.key else None)
        if plot.down:
            named = axis_words(request.shown(plot.down))
            line[0].set_ylabel(f"{words}\n{named}" if words else named)
        elif columns.key:
            line[0].set_ylabel(words)
        else:
            line[0].set_title(words)
    for axes in page.axes[-1]:
        axes.set_xlabel(axis_words(request.shown(plot.x)))


def _draw(axes: Axes, x: float, y: float, cell: Cell, style: Print, scale: Scale) -> None:
    """Draw a cell: its colour, its number with the spread below it, or its mark."""
    value = cell.number
    words: dict[str, Any] = {"ha": "center", "va": "center_baseline", "parse_math": False, "zorder": 3}
    if value is None and cell.ending is Status.FINISHED:
        axes.text(x, y, "\N{EN DASH}", color=SOFT, size=style.size, **words).set_in_layout(False)
        return
    fill = _GREY if value is None or not np.isfinite(value) else scale.color(value)
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=fill, edgecolor="white", linewidth=0.8))
    ink = readable(fill)
    if value is None:
        axes.plot([x], [y], **mark_style(cell.ending), zorder=3)
        return
    small = style.spread(cell)
    lines = [(style.number(cell), style.size, "bold" if cell.is_worst else "normal")]
    lines += [(small, style.small, "normal")] if small else []
    step = 0.62 * style.size / 72 / style.height if small else 0.0  # half the distance of the lines, in cells
    for place, (text, size, weight) in enumerate(lines):
        drawn = axes.text(x, y + (2 * place - 1) * step, text, size=size, weight=weight, color=ink, **words)
        drawn.set_in_layout(False)
    if cell.is_partial:
        axes.plot([x + _OUT], [y - _OUT], **CORNER | {"color": ink}, zorder=3)


def _enclose(panel: Panel, across: Sequence[float]) -> None:
    """Draw a line between the cells that have a bound and all others."""
    inside = np.pad([[cell.is_bounded for cell in row] for row in panel.rows], 1)
    for row, at in np.argwhere(inside):
        x, y = across[at - 1], row - 1
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            if not inside[row + down, at + right]:
                ends = (
                    [x - 0.5, x + 0.5] if down else [x + right / 2] * 2,
                    [y + down / 2] * 2 if down else [y - 0.5, y + 0.5],
                )
                panel.axes.plot(*ends, **FRAME, zorder=4)


def readable(fill: Any) -> str:
    """The colour of letters on a fill: white or ink, whichever has the higher contrast (WCAG 2.2, contrast ratio)."""

    def luminance(color: Any) -> float:
        red, green, blue = ((part / 12.92) if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color)
        return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)

    ground, ink = luminance(to_rgb(fill)), luminance(to_rgb(INK))
    return "white" if 1.05 / (ground + 0.05) > (ground + 0.05) / (ink + 0.05) else INK


def _color_bar(page: Page, plot: HeatmapPlot, scale: Scale) -> None:
    """Draw the colour bar to the right of the panels."""
    height = len(page.axes) * page.panel_height
    look: dict[str, Any] = {"fraction": 0.05, "pad": 0.015, "aspect": 18, "anchor": (0.0, 1.0)}
    bar = page.figure.colorbar(
        ScalarMappable(scale.norm, colormaps[scale.colors]),
        ax=[axes for row in page.axes for axes in row],
        extend=scale.extend,
        shrink=min(1.0, _TALLEST / height),
        label=quantity_words(plot),
        **look,
    )
    if bar.solids is not None:
        bar.solids.set(rasterized=False, edgecolor="face")  # matplotlib puts a picture in vector graphics otherwise
    bar.outline.set_visible(False)
    bar.ax.spines[:].set_color("none")
    bar.ax.grid(visible=False)
    bar.ax.minorticks_off()
    axis, (low, high), most = bar.ax.yaxis, scale.limits, max(1, int(min(height, _TALLEST) / _TICKS))
    if plot.y == ESTIMATE:
        axis.set_major_locator(MaxNLocator(most, integer=True))
    elif is_share(plot.y):
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(round(100 * value, 6))))
    elif most < _FEW or high < 2 * low:
        axis.set_major_locator(FixedLocator(np.geomspace(low, high, min(3, most + 1)).tolist()))
        axis.set_major_formatter(FuncFormatter(lambda value, _: written(value, 1, plot.y)))
    else:
        log_ticks(axis, low, high)
