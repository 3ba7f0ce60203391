"""The words around a sweep: its legend, and notes on what is drawn and what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from byzcode.figures.clip import ARROWHEADS, beyond_legend
from byzcode.figures.request import Request
from byzcode.figures.style import INK, line_style, literal, mark_legend, marker_style
from byzcode.figures.sweep_edge import EDGE_OF_DESCENT, EDGE_WORDS
from byzcode.figures.sweep_points import COST, Panel, Point, beyond
from byzcode.figures.words import BELOW, listing, lone_seed, named, seeds_of, sentence, stacked, with_ending
from byzcode.specs.quantities import is_share
from byzcode.studies.plots import SweepPlot
from byzcode.training.status import RAN_AWAY, Status

#: The limits of the y axes, by quantity.
Limits = Mapping[str, tuple[float, float]]


def legend(request: Request, panels: Sequence[Panel], limits: Limits) -> list[Artist]:
    """The artists of the legend: the styles of the curves, and the marks that occur in the panels."""
    handles: list[Artist] = []
    points = [point for panel in panels for point in panel.points]
    for curve in request.curves:
        for look in curve.looks:
            own = [point for point in points if point.curve.label == curve.label and point.run.method in look.methods]
            endings = [point.ending for point in own]
            label = look.label if Status.FINISHED in endings else with_ending(look.label, endings)
            is_level = all(point.x is None for point in own)
            drawn = line_style(look.style) | ({} if is_level else marker_style(look.style))
            handles.append(Line2D([], [], **drawn, label=literal(label)))
    if request.plot.kind == "sweep" and request.plot.edge:
        handles.append(Line2D([], [], **EDGE_OF_DESCENT, label=EDGE_WORDS))
    handles += mark_legend(point.ending for point in points)
    if any(point.moves and point.x is not None for point in points):
        hollow = marker_style(request.curves[0].looks[0].style, INK, hollow=True) | {"marker": "o"}
        handles.append(Line2D([], [], **hollow, linestyle="none", label="not yet at its plateau"))
    sides = {
        point.median(quantity) > limits[quantity][1]
        for point in points
        for quantity in limits
        if point.x is not None and beyond(point, quantity, limits[quantity])
    }
    return handles + beyond_legend(sides)


def notes(panels: Sequence[Panel], plot: SweepPlot, limits: Limits, key: str) -> list[str]:
    """The notes below the panels. ``key`` is the key on the x axis, as the figure names it."""
    points = [point for panel in panels for point in panel.points]
    seeds = [int(point.row["seeds"]) for point in points]
    shifted = "" if plot.measured else ", shifted slightly where curves meet"
    lines = [
        f"Markers: median over {seeds_of(seeds)}{shifted}; bars and bands: interquartile range.",
        *lone_seed("bar", seeds),
    ]
    if any(point.x is None for point in points):
        levels = dict.fromkeys(point.curve.label for point in points if point.x is None)
        lines.append(f"Lines without markers do not depend on the x axis: {listing(levels)}.")
    if any(_leaves(point, quantity, limits[quantity]) for point in points for quantity in limits):
        lines.append(ARROWHEADS)
    if any(point.ending in RAN_AWAY for point in points):
        where = "lower edge: less than any other" if is_share(plot.y) else "upper edge: infinite"
        lines.append(f"A mark on the {where}, because at least half of the seeds ended this way.")
        if any(point.ending in RAN_AWAY and point.x is None for point in points):
            lines.append("In the corner: a method that does not depend on the x axis.")
    if any(point.moves and point.x is not None for point in points):
        lines.append(
            "Hollow: some seeds had not reached a plateau when training ended; "
            "on the upper edge, at least half of them."
        )
    lines += sentence(
        "Lines not yet at their plateau in some seeds",
        [point.curve.label for point in points if point.moves and point.x is None],
    )
    everything = [(point.curve.label, point.x) for point in points]
    for start, chosen in _not_drawn(points, plot, limits).items():
        named_points = [(point.curve.label, point.x) for point in chosen]
        lines += sentence(start, named(named_points, everything, key)) + stacked(start, named_points)
    return lines


def _leaves(point: Point, quantity: str, limits: tuple[float, float]) -> bool:
    """Whether a drawn point has a quartile beyond the panel."""
    low, high = point.quartiles(quantity)
    return limits[0] <= point.median(quantity) <= limits[1] and not limits[0] <= low <= high <= limits[1]


def _not_drawn(points: Sequence[Point], plot: SweepPlot, limits: Limits) -> dict[str, list[Point]]:
    """The points that are not drawn, or not drawn at their value, by reason."""
    bottom, top = limits[plot.y]
    ran = [point for point in points if point.ending is Status.FINISHED]
    median = {id(point): point.median(plot.y) for point in points}
    return {
        "Undefined, because the rule tolerates fewer liars": [p for p in points if p.ending is Status.UNDEFINED],
        "Fewer than half of the seeds ended early": [point for point in ran if any(point.ended.values())],
        BELOW: [point for point in points if 0 < median[id(point)] < bottom],
        "Above its panel": [point for point in ran if top < median[id(point)] < np.inf],
        "0 or below, which a logarithmic axis cannot show": [
            p for p in points if median[id(p)] <= 0 and not is_share(plot.y)
        ],
        "Infinite, although at least half of the seeds had not ended": [p for p in ran if np.isinf(median[id(p)])],
        "Not measured, so not drawn": [point for point in ran if not point.is_measured(plot.y)],
        "Where a cost is missing, the plateau is no lower than the start": [
            point for point in points if plot.cost and point.median(COST) == 0
        ],
    }
