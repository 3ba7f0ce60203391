"""The measured variance of coded gradients, and its ratio to the closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from byzcode.analysis.spread import Spread, spread
from byzcode.figures.clip import arrowhead, bar
from byzcode.figures.page import Drawing, Page
from byzcode.figures.request import TASKS, Curve, Look, Request, Run, distinct
from byzcode.figures.scale import Extent, Positions, log_y, window
from byzcode.figures.style import axis_words, line_style, literal, marker_style, number, power_of_ten
from byzcode.figures.words import lone_seed, named, seeds_of, sentence
from byzcode.storage import trajectories
from byzcode.storage.layout import trajectory
from byzcode.studies.study import LineStyle
from byzcode.theory.constants import coded_variance

_KEY = "redundancy"
#: The horizontal distance between curves, as a fraction of the axis.
_NUDGE = 0.006
#: If values span more than this factor, the axis is limited like other logarithmic axes.
_WIDE = 1e100


#: Ratios further from 1 than this many times this quantile of their distances are outliers.
_TYPICAL, _OUTLYING = 0.75, 6.0


@dataclass(frozen=True)
class Point:
    """A run: the variance of its coded gradients divided by that of the subsets' gradients, and the closed form.

    The closed form assumes that theta does not depend on the allocation. This holds at the start; during training theta
    becomes dependent if the assignment is fixed.
    """

    curve: Curve
    run: Run
    subsets: int
    redundancy: int
    start: Spread
    training: Spread
    seeds: int
    measured: bool  # False if messages are codewords for a decoder instead of gradients

    @property
    def style(self) -> LineStyle:
        """The style of the run."""
        return self.run.style

    @property
    def expected(self) -> float:
        """(M - r) / (r (M - 1))."""
        return coded_variance(self.subsets, self.redundancy)

    @property
    def is_drawn(self) -> bool:
        """Whether a logarithmic axis can show both the closed form and the measured value."""
        return self.expected > 0 and bool(0 < self.start.median < np.inf)

    @property
    def over(self) -> tuple[Spread, Spread]:
        """What was measured at the start and during training, over the closed form."""
        return self.over_expected(self.start), self.over_expected(self.training)

    def over_expected(self, measured: Spread) -> Spread:
        """A measured spread divided by the closed form."""
        return Spread(*(part / self.expected for part in measured))


def variance(request: Request, results: Path) -> Drawing:
    """Draw ``kind: variance``. Raises UserError."""
    points = [_read(curve, run, trajectory(results, run.run)) for curve in request.curves for run in curve.runs]
    shown = [point for point in points if point.is_drawn]
    page = Page(request, 2, 1, aspect=0.5, sharex=True)
    above, below = (line[0] for line in page.axes)
    places = Positions(_KEY, sorted({point.redundancy for point in shown}))
    limits = _limits(shown)
    log_y(above, *limits)
    below.axhline(1.0, color="black", linewidth=0.8)
    places.dress(above)
    places.dress(below)
    ratios = _ratio_limits(shown)
    below.set_ylim(*ratios)
    labels = [curve.label for curve in request.curves]
    for curve in request.curves:
        own = [point for point in shown if point.curve.label == curve.label]
        nudge = _NUDGE * (labels.index(curve.label) - (len(labels) - 1) / 2)
        _draw(own, places, nudge, (above, below), (limits, ratios))
    if not shown:
        page.nothing_in(above)
        page.nothing_in(below)
    above.set_ylabel("variance of a coded gradient\nover that of a subset's", linespacing=0.95)
    below.set_ylabel("measured over\nclosed form", linespacing=0.95)
    key = request.shown(_KEY)
    below.set_xlabel(axis_words(key))
    page.arrange(_legend(request.curves, shown), _notes(points, limits, ratios, key), places)
    return Drawing(page, _table(points))


def _read(curve: Curve, run: Run, path: Path) -> Point:
    stored = trajectories.load(path, run.run)
    spec, dataset = stored.spec, stored.dataset()
    parts = [dataset[name].to_numpy() for name in ("honest_dispersion", "coding_bias")]
    with np.errstate(all="ignore"):  # ratios of huge values are infinite; those to a heterogeneity of 0 are undefined
        ratio = measured_variance(*parts) / dataset["heterogeneity"].to_numpy() ** 2
        start, training = spread(ratio[:, 0]), spread(over_training(ratio, dataset["iteration"].to_numpy()))
    codewords = np.isnan(parts[0][:, 0]).all() and not np.isnan(dataset["heterogeneity"].to_numpy()[:, 0]).all()
    return Point(curve, run, spec.subsets, spec.redundancy, start, training, len(spec.seeds), not codewords)


def _limits(shown: Sequence[Point]) -> tuple[float, float]:
    """The limits of the upper axis."""
    values = [float(value) for point in shown for value in (*point.start, point.expected) if 0 < value < np.inf] or [
        1.0
    ]
    low, high = min(values) / 1.5, max(values) * 1.5
    return (low, high) if 0 < high < _WIDE * low else window(Extent(value, value) for value in values)


def _ratio_limits(shown: Sequence[Point]) -> tuple[float, float]:
    """The limits of the lower axis, from which an outlier is left out: the others would be squeezed beside it."""
    over = [(each.low, each.median, each.high) for point in shown for each in point.over]
    values = np.array([value for each in over if 0 <= each[1] < _WIDE for value in each if np.isfinite(value)])
    if not values.size:
        return 0.5, 1.5
    away = np.sort(np.abs(values - 1.0))
    most = float(away[-1])
    typical = float(np.quantile(away, _TYPICAL))
    reach = most if most <= _OUTLYING * typical else float(away[away <= _OUTLYING * typical][-1])
    inside = values[np.abs(values - 1.0) <= reach]
    low, high = min(1.0, float(inside.min())), max(1.0, float(inside.max()))
    margin = 0.06 * (high - low) or 0.1
    return low - margin, high + margin


def over_training(values: NDArray[np.float64], iterations: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of recorded values (R, n) over the iterations from 1 to the end of each seed, (R,).

    Each record represents the iterations since the previous record.
    """
    stretches = np.diff(iterations)
    weights = np.where(np.isnan(values[:, 1:]), 0.0, stretches / stretches.min())
    with np.errstate(invalid="ignore"):  # a seed that ended at once has no values
        mean: NDArray[np.float64] = np.nansum(values[:, 1:] * weights, axis=1) / weights.sum(axis=1)
    return mean


def measured_variance(dispersion: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean squared distance of honest messages from the true gradient, from their two recorded parts."""
    return dispersion**2 + bias**2


def _draw(
    points: Sequence[Point],
    places: Positions,
    nudge: float,
    panels: tuple[Axes, Axes],
    limits: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    """Draw the points of a curve, and the closed form for each of its numbers of subsets."""
    above, below = panels
    for style in distinct(point.style for point in points):
        own = [point for point in points if point.style == style]
        for subsets in distinct(point.subsets for point in own) if len(own) > 1 else ():
            along = np.geomspace(places.low, min(places.high, subsets - 1e-3), 400)
            above.plot(along, [(subsets - r) / (r * (subsets - 1)) for r in along], **line_style(style))
    for point in points:
        x, (start, training) = places.at(point.redundancy, nudge), point.over
        for axes, value, hollow in ((below, training, True), (below, start, False), (above, point.start, False)):
            _draw_point(axes, x, value, point.style, limits[axes is below], hollow=hollow)


def _draw_point(
    axes: Axes, x: float, value: Spread, style: LineStyle, limits: tuple[float, float], *, hollow: bool
) -> None:
    """Draw a median with its bar, or an arrowhead on the edge of the panel that it lies beyond."""
    median = float(value.median)
    if limits[0] <= median <= limits[1]:
        bar(axes, x, median, (float(value.low), float(value.high)), limits, style.color)
        axes.plot([x], [median], **marker_style(style, hollow=hollow), linestyle="none", zorder=3)
    elif 0 <= median < _WIDE:
        up = median > limits[1]
        look = arrowhead(style.color, up=up, size=6.0) | (
            {"markerfacecolor": "white", "markeredgewidth": 1.0} if hollow else {}
        )
        axes.plot([x], [limits[1 if up else 0]], **look, clip_on=False, zorder=4)


def _legend(curves: Sequence[Curve], shown: Sequence[Point]) -> list[Artist]:
    """Entries for the curves that have points in the figure."""

    def entry(curve: Curve, look: Look) -> Iterator[Artist]:
        own = [point for point in shown if point.curve.label == curve.label and point.run.method in look.methods]
        runs = [run for run in curve.runs if run.method in look.methods]
        if own:
            drawn = line_style(look.style) | ({"linestyle": "none"} if len(runs) == 1 else {})
            yield Line2D([], [], **drawn, **marker_style(look.style), label=literal(look.label))

    return [handle for curve in curves for look in curve.looks for handle in entry(curve, look)]


def _notes(points: Sequence[Point], limits: tuple[float, float], ratios: tuple[float, float], key: str) -> list[str]:
    seeds = [point.seeds for point in points]
    letter = "d" if key == TASKS else "r"
    notes = [
        f"Points: at the start, median over {seeds_of(seeds)}; bars: interquartile range. "
        f"Lines: (M \N{MINUS SIGN} {letter}) / ({letter} (M \N{MINUS SIGN} 1)). Hollow, below: mean over the training; "
        "if the allocation is fixed, the parameters come to depend on it and the closed form no longer holds.",
        *lone_seed("bar", seeds),
    ]
    everything = [(point.curve.label, point.redundancy) for point in points]
    notes += sentence(
        "Beyond the lower panel, so on its edge",
        [
            f"{name} ({number(float(f'{float(value.median):.3g}'))} times, {when})"
            for point in points
            if point.is_drawn
            for when, value in zip(("at the start", "over the training"), point.over, strict=True)
            if not ratios[0] <= value.median <= ratios[1] and value.median < _WIDE
            for name in named([(point.curve.label, point.redundancy)], everything, key)
        ],
    )
    for start, chosen in _not_drawn(points, limits).items():
        notes += sentence(start, named([(point.curve.label, point.redundancy) for point in chosen], everything, key))
    return notes


def _not_drawn(points: Sequence[Point], limits: tuple[float, float]) -> dict[str, list[Point]]:
    """The points that are not drawn, by reason: the start of a sentence in the notes."""
    measured = [point for point in points if point.measured]
    exact = [point for point in measured if point.expected == 0]
    rest = [point for point in measured if point.expected > 0]
    median = {id(point): float(point.start.median) for point in measured}
    most = max((median[id(point)] for point in exact if np.isfinite(median[id(point)])), default=0.0)
    return {
        "Codewords for a decoder, which have no such variance, so not drawn": [p for p in points if not p.measured],
        f"Closed form 0, measured at most {power_of_ten(most)}, so not drawn": exact,
        "Measured 0, which a logarithmic axis cannot show": [p for p in rest if median[id(p)] == 0],
        "Undefined or infinite at the start, so not drawn": [p for p in rest if np.isinf(median[id(p)])],
        "Beyond its panel": [p for p in rest if p.is_drawn and not limits[0] <= median[id(p)] <= limits[1]],
        "Undefined or infinite over the training, so without a hollow point": [
            point for point in rest if point.is_drawn and not point.over_expected(point.training).median < _WIDE
        ],
    }


def _table(points: Sequence[Point]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "curve": point.curve.label,
            "method": point.run.method,
            "run": point.run.run,
            "subsets": point.subsets,
            "redundancy": point.redundancy,
            "median": float(point.start.median) if point.measured else np.nan,
            "q25": float(point.start.low) if point.measured else np.nan,
            "q75": float(point.start.high) if point.measured else np.nan,
            "training_median": float(point.training.median) if point.measured else np.nan,
            "closed_form": point.expected,
            "seeds": point.seeds,
        }
        for point in points
    )
