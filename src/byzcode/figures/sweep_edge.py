"""The edge beyond which the plain mean of all messages no longer descends under sign flipping."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from byzcode.figures.scale import Positions
from byzcode.figures.style import SOFT, number

#: The style of the edge, and its entry in the legend.
EDGE_OF_DESCENT: dict[str, Any] = {"color": SOFT, "linewidth": 1.0, "linestyle": (0, (2.0, 1.0))}
EDGE_WORDS = r"the mean stops descending, $\alpha$ = 1/(1 + c)"


def edge_of_descent(alpha: float) -> float:
    """The coefficient -c at which the expected mean message is 0: (1 - alpha) + alpha (-c) = 0."""
    return -(1 - alpha) / alpha


def draw_edge(axes: Axes, alpha: float, places: Positions) -> str | None:
    """Draw the edge at a fraction of Byzantine devices; returns a note if it lies beyond the panel."""
    at = edge_of_descent(alpha) if alpha > 0 else float("-inf")
    if min(places.values) <= at <= max(places.values):
        axes.axvline(places.between(at), **EDGE_OF_DESCENT, zorder=1.8)
        return None
    return f"\N{GREEK SMALL LETTER ALPHA} = {number(alpha)} ({number(round(at, 2))})"
