"""How many times the level of a curve exceeds that of another, against iteration: its spread and its share near 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from byzcode.analysis.spread import Spread, spread
from byzcode.errors import UserError
from byzcode.figures.columns import with_levels
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Curve, Facets, Request, Run, only_run
from byzcode.figures.scale import Extent, extent, log_y, near, plain_ticks, share_y, window
from byzcode.figures.style import INK, QUANTITIES, level_words, line_style, literal, number
from byzcode.figures.words import in_plain, lone_seed, seeds_of, sentence
from byzcode.storage import trajectories
from byzcode.storage.layout import trajectory
from byzcode.studies.plots import RatioPlot


@dataclass(frozen=True)
class Ratio:
    """The factor of a run over the run with the same seeds that it is compared with, at each recorded iteration."""

    curve: Curve
    run: Run
    iterations: NDArray[np.int64]
    factor: NDArray[np.float64]  # (R, n); NaN from where a seed of the run has ended

    @property
    def over(self) -> Spread:
        """The median and the quartiles over seeds; a seed that ended counts as infinite."""
        return spread(self.factor)

    def share(self, margin: float) -> NDArray[np.float64]:
        """The share of seeds, (n,), whose factor is between 1 / margin and margin."""
        share: NDArray[np.float64] = ((self.factor >= 1 / margin) & (self.factor <= margin)).mean(axis=0)
        return share

    @property
    def extent(self) -> Extent | None:
        """The range of its medians and quartiles that a logarithmic axis can show."""
        return extent(np.concatenate(self.over))


def ratio(request: Request, results: Path) -> Drawing:
    """Draw ``kind: ratio``. Raises UserError."""
    plot = request.plot
    assert isinstance(plot, RatioPlot)
    columns = Facets.of(request.curves, plot.columns)
    page = Page(request, 2, len(columns.levels), sharex=True)
    panels = [_ratios(request, plot, columns, level, results) for level in columns.levels]
    for place, (level, ratios) in enumerate(zip(columns.levels, panels, strict=True)):
        above, below = page.axes[0][place], page.axes[1][place]
        _draw(above, below, ratios, plot)
        below.tick_params(labelleft=place == 0)
        above.set_title(level_words(request.shown(plot.columns), level if columns.key else None))
        below.set_xlabel("iteration")
    page.axes[0][0].set_ylabel(f"factor of the\n{QUANTITIES[plot.y].words}", linespacing=0.95)
    page.axes[1][0].set_ylabel(f"share of seeds\nwithin {number(plot.margin)}", linespacing=0.95)
    ratios = [one for panel in panels for one in panel]
    shown = [curve for curve in request.curves if curve.label != plot.against]
    handles = [
        Line2D([], [], **line_style(look.style), label=literal(look.label)) for curve in shown for look in curve.looks
    ]
    never = [
        in_plain(level_words(request.shown(plot.columns), level))
        for level, panel in zip(columns.levels, panels, strict=True)
        if columns.key and panel and not any(one.share(plot.margin)[one.iterations > 0].any() for one in panel)
    ]
    page.arrange(handles, [*_notes(plot, ratios, len(panels)), *sentence("No seed is ever between these two", never)])
    tables = [
        _table(one, plot, columns.level("columns", level))
        for level, panel in zip(columns.levels, panels, strict=True)
        for one in panel
    ]
    return Drawing(page, pd.concat(tables))


def _ratios(request: Request, plot: RatioPlot, columns: Facets, level: Any, results: Path) -> list[Ratio]:
    """The factors in a panel, one for each curve but the one that the others are compared with."""

    @cache
    def read(run: str) -> tuple[tuple[int, ...], NDArray[np.int64], NDArray[np.float64]]:
        stored = trajectories.load(trajectory(results, run), run)
        dataset = stored.dataset()
        return stored.spec.seeds, dataset["iteration"].to_numpy(), dataset[plot.y].to_numpy()

    runs = {
        curve.label: run
        for curve in request.curves
        if (run := only_run(curve, (run for run in curve.runs if columns.holds(curve, run, level)), request.study))
    }
    if plot.against not in runs:
        return []
    seeds, iterations, below = read(runs[plot.against].run)
    found = []
    for curve in request.curves:
        if curve.label == plot.against or curve.label not in runs:
            continue
        own_seeds, own_iterations, above = read(runs[curve.label].run)
        if own_seeds != seeds or not np.array_equal(own_iterations, iterations):
            raise UserError(
                f"{request.study}: curves {curve.label!r} and {plot.against!r} differ in their seeds or recorded "
                "iterations; a plot of kind ratio compares them seed by seed and iteration by iteration"
            )
        with np.errstate(all="ignore"):  # the factor over 0 is infinite
            factor = np.where(above == below, 1.0, above / below)
        found.append(Ratio(curve, runs[curve.label], iterations, factor))
    return found


def _draw(above: Axes, below: Axes, ratios: Sequence[Ratio], plot: RatioPlot) -> None:
    """Draw the spread of the factors above, on an axis of the panel's own, and the shares of seeds below."""
    limits = window([*(each for one in ratios if (each := one.extent)), Extent(1 / plot.margin, plot.margin)])
    log_y(above, *limits)
    share_y(below)
    for level, style in ((1.0, "-"), (plot.margin, ":"), (1 / plot.margin, ":")):
        above.axhline(level, color=INK, linewidth=0.8, linestyle=style, zorder=1)
    for place, one in enumerate(ratios):
        x, started = one.iterations, one.iterations > 0
        kept = started & np.isfinite(one.over.median)
        look = line_style(one.run.style, phase=place / len(ratios))
        low, high, median = (near(part, *limits) for part in (one.over.low, one.over.high, one.over.median))
        above.fill_between(
            x[kept], low[kept], high[kept], color=one.run.style.color, alpha=0.16, linewidth=0, zorder=1.5
        )
        above.plot(x[kept], median[kept], **look)
        below.plot(x[started], one.share(plot.margin)[started], **look)
    first, last = min(one.iterations[1] for one in ratios), max(one.iterations[-1] for one in ratios)
    for axes in (above, below):
        axes.set_xscale("log")
        axes.set_xlim(first, last)
        plain_ticks(axes, float(first), float(last))


def _notes(plot: RatioPlot, ratios: Sequence[Ratio], columns: int) -> list[str]:
    seeds = [len(one.factor) for one in ratios]
    ended = [one.curve.label for one in ratios if np.isnan(one.factor[:, -1]).any()]
    margin = number(plot.margin)
    gone = any(np.isinf(one.over.median).any() for one in ratios)
    own = ", each panel with a scale of its own" if columns > 1 else ""
    return [
        f"Above: the factor over {plot.against} in the same seed{own}; lines: median over {seeds_of(seeds)}, bands: "
        f"interquartile range, dotted: {margin} and 1 / {margin}. Below: the share of seeds between these two.",
        *lone_seed("band", seeds),
        *sentence("Seeds that ended early count as infinite", ended),
        *(["A line ends where its median is infinite."] if gone else []),
    ]


def _table(one: Ratio, plot: RatioPlot, levels: dict[str, Any]) -> pd.DataFrame:
    own = {
        "curve": one.curve.label,
        "method": one.run.method,
        "run": one.run.run,
        "x": one.iterations,
        "median": one.over.median,
        "q25": one.over.low,
        "q75": one.over.high,
        "share": one.share(plot.margin),
        "seeds": len(one.factor),
    }
    return pd.DataFrame(with_levels(plot, levels, own))
