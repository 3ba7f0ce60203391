"""How far coded gradients are from the true one, measured, over the closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from byzcode import trajectory
from byzcode.analysis.spread import Spread, spread
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import Curve, Request, distinct
from byzcode.figures.scale import Positions, log_y
from byzcode.figures.style import axis_words, line_style, literal, marker_style
from byzcode.figures.words import named, seeds_of, sentence
from byzcode.studies.spec import RunSpec
from byzcode.theory import coded_variance

_KEY = "redundancy"
#: Curves stand apart by so much of the axis.
_NUDGE = 0.006


@dataclass(frozen=True)
class Point:
    """A run: the variance of its coded gradients over that of the subsets' gradients, by seed, and the closed form.

    At the start theta does not depend on the allocation, as the closed form asks; in training it comes to, where the
    assignment is fixed.
    """

    curve: Curve
    run: str
    subsets: int
    redundancy: int
    start: Spread
    training: Spread
    seeds: int

    @property
    def expected(self) -> float:
        """(M - r) / (r (M - 1))."""
        return coded_variance(self.subsets, self.redundancy)

    def over_expected(self, measured: Spread) -> Spread:
        """Measured over the closed form."""
        return Spread(*(part / self.expected for part in measured))


def variance(request: Request, results: Path) -> Drawing:
    """Draw ``kind: variance``. Raises UserError."""
    points = [
        _read(curve, run.run, results / "trajectories" / f"{run.run}.nc")
        for curve in request.curves
        for run in curve.runs
    ]
    shown = [point for point in points if point.expected > 0]
    page = Page(request, 2, 1, aspect=0.5, sharex=True)
    above, below = (line[0] for line in page.axes)
    places = Positions(_KEY, sorted({point.redundancy for point in shown}))
    values = [float(value) for point in shown for value in (*point.start, point.expected)] or [1.0]
    log_y(above, min(values) / 1.5, max(values) * 1.5)
    below.axhline(1.0, color="black", linewidth=0.8)
    places.dress(above)
    places.dress(below)
    labels = [curve.label for curve in request.curves]
    for curve in request.curves:
        own = [point for point in shown if point.curve.label == curve.label]
        nudge = _NUDGE * (labels.index(curve.label) - (len(labels) - 1) / 2)
        for subsets in distinct(point.subsets for point in own) if len(own) > 1 else ():
            along = np.geomspace(places.low, min(places.high, subsets - 1e-3), 400)
            above.plot(along, [(subsets - r) / (r * (subsets - 1)) for r in along], **line_style(curve.style))
        for point in own:
            x = places.at(point.redundancy, nudge)
            for axes, value, hollow in (
                (below, point.over_expected(point.training), True),
                (below, point.over_expected(point.start), False),
                (above, point.start, False),
            ):
                axes.plot([x, x], [value.low, value.high], color=curve.style.color, linewidth=1.2)
                axes.plot([x], [value.median], **marker_style(curve.style, hollow=hollow), linestyle="none", zorder=3)
    above.set_ylabel("variance of a coded gradient\nover that of a subset's", linespacing=0.95)
    below.set_ylabel("measured over\nclosed form", linespacing=0.95)
    below.set_xlabel(axis_words(_KEY))
    page.arrange(_legend(request.curves), _notes(points))
    return Drawing(page, _table(points))


def _read(curve: Curve, run: str, path: Path) -> Point:
    dataset = trajectory.open(path, run)
    spec = RunSpec.from_json(dataset.attrs["spec"], path)
    found = measured_variance(*(dataset[name].to_numpy() for name in ("honest_dispersion", "coding_bias")))
    ratio = found / dataset["heterogeneity"].to_numpy() ** 2
    start, training = spread(ratio[:, 0]), spread(over_training(ratio, dataset["iteration"].to_numpy()))
    return Point(curve, run, spec.subsets, spec.redundancy, start, training, len(spec.seeds))


def over_training(values: NDArray[np.float64], iterations: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of recorded values (R, n) over the iterations from 1 on, (R,), as far as a seed went.

    Each record stands for the iterations since the one before.
    """
    stretches = np.diff(iterations)
    weights = np.where(np.isnan(values[:, 1:]), 0.0, stretches / stretches.min())
    with np.errstate(invalid="ignore"):  # a seed that ended at once has none
        mean: NDArray[np.float64] = np.nansum(values[:, 1:] * weights, axis=1) / weights.sum(axis=1)
    return mean


def measured_variance(dispersion: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean squared distance of honest messages from the true gradient, from their two recorded parts."""
    return dispersion**2 + bias**2


def _legend(curves: Sequence[Curve]) -> list[Artist]:
    handles: list[Artist] = []
    for curve in curves:
        look = line_style(curve.style) | ({"linestyle": "none"} if len(curve.runs) == 1 else {})
        handles.append(Line2D([], [], **look, **marker_style(curve.style), label=literal(curve.label)))
    return handles


def _notes(points: Sequence[Point]) -> list[str]:
    notes = [
        f"Points: at the start, median over {seeds_of(point.seeds for point in points)}; bars: interquartile range. "
        "Lines: (M \N{MINUS SIGN} r) / (r (M \N{MINUS SIGN} 1)). Hollow, below: mean over the training; where the "
        "allocation is fixed, the parameters come to depend on it, and the closed form no longer holds."
    ]
    everything = [(point.curve.label, point.redundancy) for point in points]
    exact = [(point.curve.label, point.redundancy) for point in points if point.expected == 0]
    most = max((float(point.start.median) for point in points if point.expected == 0), default=0.0)
    return notes + sentence(f"Closed form 0, measured at most {most:.0e}, so not drawn", named(exact, everything, _KEY))


def _table(points: Sequence[Point]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "curve": point.curve.label,
            "method": point.curve.method,
            "run": point.run,
            "subsets": point.subsets,
            "redundancy": point.redundancy,
            "median": float(point.start.median),
            "q25": float(point.start.low),
            "q75": float(point.start.high),
            "training_median": float(point.training.median),
            "closed_form": point.expected,
            "seeds": point.seeds,
        }
        for point in points
    )
