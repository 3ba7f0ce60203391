"""The cells of a heatmap: the level of each run, seed by seed, and the worst case of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from byzcode.analysis.plateau import plateau
from byzcode.analysis.spread import spread
from byzcode.errors import UserError
from byzcode.figures.request import Curve, Facets, Request, Run, distinct, in_order, only_run
from byzcode.figures.style import value_words
from byzcode.specs.quantities import is_share
from byzcode.storage import trajectories
from byzcode.storage.layout import trajectory
from byzcode.studies.plots import HeatmapPlot
from byzcode.theory.bounds import rho_of
from byzcode.training.status import Status, counts, most_frequent

#: The name of the column of worst cases.
WORST = "worst case"


class Seeds(NamedTuple):
    """The level of a quantity over the last fifth of training, (R,), NaN for a seed that ended early; and the seeds."""

    level: NDArray[np.float64]
    status: NDArray[np.int8]
    numbers: tuple[int, ...]
    rho: float | None = None  # see byzcode.theory.bounds.rho_of


class Average(NamedTuple):
    """An average over seeds, and the spread around it."""

    value: float
    spread: float


@dataclass(frozen=True)
class Cell:
    """A curve at a value of x, or in its worst case, where ``run`` is None. Without a run, ``seeds`` is None."""

    curve: Curve
    x: Any
    plot: HeatmapPlot
    seeds: Seeds | None
    run: Run | None = None

    @property
    def is_worst(self) -> bool:
        """Whether it is the worst case of its row."""
        return isinstance(self.x, str) and self.x == WORST

    @property
    def average(self) -> Average:
        """The number in the cell, and the spread below it; NaN without a run."""
        if self.seeds is None:
            return Average(np.nan, np.nan)
        return (mean if self.plot.average == "mean" else median)(self.seeds.level, self.plot.y)

    @property
    def ended(self) -> dict[Status, int]:
        """The number of seeds that ended early, by status."""
        return counts(self.seeds.status if self.seeds else np.zeros(0, dtype=np.int8))

    @property
    def ending(self) -> Status:
        """The most frequent early ending if the cell shows it instead of a number; else FINISHED.

        It does if at least half of the seeds ended early, or if one did and the number is therefore infinite.
        """
        count = sum(self.ended.values())
        is_shown = self.seeds is not None and (
            2 * count >= len(self.seeds.level) or not np.isfinite(self.average.value)
        )
        return most_frequent(self.ended) if count and is_shown else Status.FINISHED

    @property
    def is_measured(self) -> bool:
        """Whether it has a run, and every seed that finished has a level."""
        if self.seeds is None:
            return False
        return not np.isnan(self.seeds.level[self.seeds.status == Status.FINISHED]).any()

    @property
    def number(self) -> float | None:
        """The number to write into it; None if it shows an ending, or a dash. May be infinite."""
        return self.average.value if self.is_measured and self.ending is Status.FINISHED else None

    @property
    def is_bounded(self) -> bool:
        """Whether rho < 1."""
        return self.seeds is not None and self.seeds.rho is not None and self.seeds.rho < 1

    @property
    def is_partial(self) -> bool:
        """Whether it shows a number although some seeds ended early."""
        return self.number is not None and any(self.ended.values())


class Line(NamedTuple):
    """A row of cells: its label, its curve, and the level of ``down`` that its runs have, None without that key."""

    label: str
    curve: Curve
    down: Any = None


@dataclass(frozen=True)
class Panel:
    """The axes of a panel, its levels by field of the plot, its lines, and its rows of cells, one per line."""

    axes: Axes
    levels: dict[str, Any]
    lines: Sequence[Line]
    rows: list[list[Cell]]

    @property
    def cells(self) -> list[Cell]:
        """All cells, row by row."""
        return [cell for row in self.rows for cell in row]


#: Reads a run.
Reader = Callable[[Run], Seeds]


def reader(results: Path, quantity: str) -> Reader:
    """A reader of the levels of stored runs that reads each file once. Its calls raise UserError."""

    @cache
    def read(run: str) -> Seeds:
        stored = trajectories.load(trajectory(results, run), run)
        dataset = stored.dataset()
        status = dataset["status"].to_numpy()
        with np.errstate(all="ignore"):  # levels may be 0, infinite or NaN
            level = plateau(dataset[quantity].to_numpy(), dataset["iteration"].to_numpy()).level
        return Seeds(
            np.where(status == Status.FINISHED, level, np.nan), status, tuple(stored.spec.seeds), rho_of(stored.spec)
        )

    return lambda run: read(run.run)


def levels_of(request: Request, key: str) -> list[Any]:
    """The values of the columns of cells."""
    points = (run.point[key] for curve in request.curves for run in curve.runs)
    return in_order(distinct(value for value in points if value is not None))


def lines_of(request: Request, plot: HeatmapPlot, curve: Curve | None) -> list[Line]:
    """The rows of cells of a panel: the curves, or the values of ``down`` where the panel has the runs of one curve."""
    if curve is None or plot.down is None:
        return [Line(each.label, each) for each in request.curves]
    return [Line(value_words(plot.down, value), curve, value) for value in levels_of(request, plot.down)]


def rows_of(
    request: Request,
    plot: HeatmapPlot,
    read: Reader,
    lines: Sequence[Line],
    facets: Sequence[tuple[Facets, Any]],
    values: Sequence[Any],
) -> list[list[Cell]]:
    """The rows of the panel at some levels of ``facets``. Raises UserError.

    A run without the key of the columns, or of the rows, has the same cell in all of them.
    """

    def cell(curve: Curve, runs: Sequence[Run], x: Any) -> Cell:
        key = plot.x
        run = only_run(curve, (run for run in runs if run.point[key] is None or run.point[key] == x), request.study)
        return Cell(curve, x, plot, None if run is None else read(run), run)

    rows = []
    for line in lines:
        own = [
            run
            for run in line.curve.runs
            if all(facet.holds(line.curve, run, level) for facet, level in facets)
            and (plot.down is None or run.point[plot.down] is None or run.point[plot.down] == line.down)
        ]
        rows.append([cell(line.curve, own, x) for x in values])
    if plot.regret:
        rows = _regrets(rows, lines, values)
    return [[*row, _worst(row, request.study)] if plot.worst else row for row in rows]


def _regrets(rows: Sequence[Sequence[Cell]], lines: Sequence[Line], values: Sequence[Any]) -> list[list[Cell]]:
    """The cells with their levels divided, seed by seed, by that of their column where ``down`` has the value of x.

    Without such a cell, or with other seeds there, a cell has no number.
    """
    known = {
        x: row[place] for place, x in enumerate(values) for row, line in zip(rows, lines, strict=True) if line.down == x
    }

    def divided(cell: Cell) -> Cell:
        base = known.get(cell.x)
        if cell.seeds is None or base is None or base.seeds is None or base.seeds.numbers != cell.seeds.numbers:
            return replace(cell, seeds=None)
        with np.errstate(all="ignore"):  # a seed that ended early where f is known has no regret
            return replace(cell, seeds=cell.seeds._replace(level=cell.seeds.level / base.seeds.level))

    return [[divided(cell) for cell in row] for row in rows]


def _worst(row: Sequence[Cell], study: str) -> Cell:
    """The worst case of a row, seed by seed: a seed that ended early in any column has ended. Raises UserError."""
    curve, plot = row[0].curve, row[0].plot
    levels = [cell.seeds for cell in row if cell.seeds is not None]
    if len(levels) < len(row):  # the worst of some columns only would flatter
        return Cell(curve, WORST, plot, None)
    if any(each.numbers != levels[0].numbers for each in levels):
        raise UserError(
            f"{study}: the runs of curve {curve.label!r} differ in their seeds; a heatmap takes the worst case seed by "
            "seed: use worst: false"
        )
    over = np.stack([each.level for each in levels])
    worst = over.min(axis=0) if is_share(plot.y) else over.max(axis=0)  # NaN if a seed is NaN in any column
    status = np.stack([each.status for each in levels])
    return Cell(curve, WORST, plot, Seeds(worst, status.max(axis=0), levels[0].numbers))


def median(level: NDArray[np.float64], quantity: str) -> Average:
    """The median over seeds and half the interquartile range; a seed that ended early counts as the worst."""
    over = spread(level, more_is_better=is_share(quantity))
    with np.errstate(all="ignore"):  # the range of infinite quartiles is undefined
        return Average(float(over.median), float(over.high - over.low) / 2)


def mean(level: NDArray[np.float64], quantity: str) -> Average:
    """The mean over seeds and the standard deviation; a seed that ended early is infinite, or a share of 0."""
    filled = np.where(np.isnan(level), 0.0 if is_share(quantity) else np.inf, level)
    with np.errstate(all="ignore"):  # the deviation of infinite values is undefined, and huge ones overflow
        deviation = float(filled.std(ddof=1)) if len(filled) > 1 else np.nan
        return Average(float(filled.mean()), deviation)
