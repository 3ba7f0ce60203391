"""The legend, the notes and the table of a figure of bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from byzcode.analysis.spread import Spread
from byzcode.figures.bounds_points import Above, Panel, Point
from byzcode.figures.clip import ARROWHEADS, beyond_legend
from byzcode.figures.columns import with_levels
from byzcode.figures.request import Curve
from byzcode.figures.style import (
    BOUNDS,
    INK,
    line_style,
    literal,
    mark_legend,
    marker_style,
)
from byzcode.figures.words import BELOW, lone_seed, named, seeds_of, sentence, stacked, with_ending
from byzcode.studies.names import BoundName
from byzcode.studies.plots import BoundsPlot
from byzcode.training.status import ENDINGS, Status


def legend(
    curves: Sequence[Curve], drawn: Sequence[BoundName], points: Sequence[Point], limits: tuple[float, float]
) -> list[Artist]:
    """The handles: curves, bounds, and marks of points that are not in a panel."""
    handles: list[Artist] = []
    sides = {point.floor > limits[1] for point in points if point.is_beyond(limits)}
    for curve in curves:
        for look in curve.looks:
            endings = [p.ending for p in points if p.curve.label == curve.label and p.run.method in look.methods]
            label = look.label if Status.FINISHED in endings else with_ending(look.label, endings)
            drawn_as = line_style(look.style) | {"linestyle": "-"} | marker_style(look.style)
            handles.append(Line2D([], [], **drawn_as, label=literal(label)))
    handles += [Line2D([], [], color=INK, **BOUNDS[name].line, label=BOUNDS[name].words) for name in drawn]
    return handles + mark_legend(point.ending for point in points) + beyond_legend(sides)


def notes(points: Sequence[Point], key: str, drawn: Sequence[BoundName], limits: tuple[float, float]) -> list[str]:
    """The sentences below the caption; ``key`` is that of the horizontal axis."""
    seeds = [len(point.status) for point in points]
    sentences = [
        f"Markers: measured, median over {seeds_of(seeds)}; bars: interquartile range. "
        "The descent of the loss turns a bound on the error of the aggregate into one on the gradient.",
        *lone_seed("bar", seeds),
    ]
    if any(_leaves(point, limits) for point in points):
        sentences.append(ARROWHEADS)
    sentences += [f"{BOUNDS[name].words.capitalize()}: {BOUNDS[name].meaning}." for name in drawn]
    everything = [(point.curve.label, point.x) for point in points]
    for start, chosen in _not_drawn(points, limits).items():
        named_points = [(point.curve.label, point.x) for point in chosen]
        sentences += sentence(start, named(named_points, everything, key)) + stacked(start, named_points)
    return sentences


def _leaves(point: Point, limits: tuple[float, float]) -> bool:
    """Whether a drawn point has a quartile beyond the panel."""
    shown = (point.measured, *(above.bound for above in point.above.values()))
    return any(
        limits[0] <= spread.median <= limits[1] and not limits[0] <= spread.low <= spread.high <= limits[1]
        for spread in shown
    )


def _not_drawn(points: Sequence[Point], limits: tuple[float, float]) -> dict[str, list[Point]]:
    """The points that are not drawn, by reason: the start of a sentence in the notes."""
    ran = [point for point in points if point.ending is Status.FINISHED]
    reasons = {
        f"{BELOW}, and no ratio": [point for point in points if 0 < point.floor < limits[0]],
        "Measured 0, which a logarithmic axis cannot show, and no ratio": [p for p in points if p.floor == 0],
        "Above its panel": [point for point in ran if limits[1] < point.floor < np.inf],
        "Infinite, although at least half of the seeds had not ended": [p for p in ran if np.isinf(p.floor)],
    }
    for ending in ENDINGS:
        why = "because the rule tolerates fewer liars" if ending is Status.UNDEFINED else "at least half of the seeds"
        reasons[f"{ending.word.capitalize()}, {why}"] = [point for point in points if point.ending is ending]
    reasons["No bound is known"] = [point for point in ran if not point.above]
    reasons["A bound of 0 or below, or without a ratio, is not drawn"] = [
        point
        for point in ran
        if point.floor >= limits[0] and any(not _is_positive(above) for above in point.above.values())
    ]
    return reasons


def _is_positive(above: Above) -> bool:
    return all(0 < float(part.median) < np.inf for part in above)


def table(panels: Sequence[Panel], plot: BoundsPlot, bottom: float) -> pd.DataFrame:
    """The drawn data. There is no ratio if the measured floor is only rounding errors."""

    def row(point: Point, name: str, value: Spread, ratio: Spread | None) -> dict[str, Any]:
        return {
            "curve": point.curve.label,
            "method": point.run.method,
            "run": point.run.run,
            "x": point.x,
            "quantity": name,
            "median": float(value.median),
            "q25": float(value.low),
            "q75": float(value.high),
            "ratio_median": np.nan if ratio is None else float(ratio.median),
            "ratio_q25": np.nan if ratio is None else float(ratio.low),
            "ratio_q75": np.nan if ratio is None else float(ratio.high),
            "seeds": len(point.status),
            "ended": int((point.status != Status.FINISHED).sum()),
        }

    return pd.DataFrame(
        with_levels(plot, panel.levels, row(point, name, value, ratio))
        for panel in panels
        for point in panel.points
        for name, value, ratio in [
            ("measured", point.measured, None),
            *(
                (name, above.bound, above.ratio if point.floor >= bottom else None)
                for name, above in point.above.items()
            ),
        ]
    )
