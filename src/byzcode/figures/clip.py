"""Values beyond a panel: bars and bands end early with an arrowhead, lines break, and points are marked on the edge."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.typing import ColorType
from numpy.typing import NDArray

from byzcode.figures.style import INK

#: How far a bar or band reaches towards a quartile that the panel does not show, as a fraction of the panel.
_TOWARDS = 0.07
#: The place of a band's arrowhead along the x axis, as a fraction of the panel.
_RIGHT = 0.985

#: A quartile is near the limits of an axis within this factor, or this part of its decades.
_NEAR, _NEAR_PART, _MARGIN = 3.0, 0.3, 1.05

#: The sentence on the arrowheads of bars and bands.
ARROWHEADS = "An arrowhead on a bar or band: its quartile is infinite or lies beyond the panel."


class Ends(NamedTuple):
    """The ends of a bar in a panel, and whether the quartiles lie beyond them."""

    low: float
    high: float
    below: bool
    above: bool


def arrowhead(color: ColorType, *, up: bool, size: float = 5.0) -> dict[str, Any]:
    """An arrowhead whose tip is the point, for ``Axes.plot``."""
    marker = CARETUP if up else CARETDOWN
    return {"marker": marker, "markersize": size, "color": color, "markeredgewidth": 0.0, "linestyle": "none"}


def beyond_legend(sides: Collection[bool]) -> list[Artist]:
    """The legend's entries for points marked on the lower edge of a panel (False) and on the upper one (True)."""
    words = {False: ("below the panel", "v"), True: ("above the panel", "^")}
    looks = [(label, arrowhead(INK, up=above) | {"marker": marker}) for above, (label, marker) in words.items()]
    return [Line2D([], [], **look, label=label) for above, (label, look) in enumerate(looks) if bool(above) in sides]


def within(values: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float64]:
    """The values inside a panel and NaN for the others, so that no line leads to them."""
    kept: NDArray[np.float64] = np.where((values >= limits[0]) & (values <= limits[1]), values, np.nan)
    return kept


def with_quartiles(limits: tuple[float, float], quartiles: Iterable[float]) -> tuple[float, float]:
    """The limits of a logarithmic axis, extended to the quartiles that lie near them; the others become arrowheads."""
    bottom, top = limits
    reach = max(_NEAR, (top / bottom) ** _NEAR_PART)
    near = [end for end in quartiles if bottom / reach < end < top * reach]
    return min([bottom, *(end / _MARGIN for end in near)]), max([top, *(end * _MARGIN for end in near)])


def ends(axes: Axes, median: float, quartiles: tuple[float, float], limits: tuple[float, float]) -> Ends:
    """The ends of a bar around a median inside the panel. It reaches only a little towards a quartile outside."""
    (low, high), (bottom, top) = quartiles, limits
    below, above = not low >= bottom, not high <= top  # a NaN is beyond, too
    if axes.get_yscale() == "log":
        step = (top / bottom) ** _TOWARDS
        down, up = median / step, median * step
    else:
        down, up = median - _TOWARDS * (top - bottom), median + _TOWARDS * (top - bottom)
    return Ends(max(down, bottom) if below else low, min(up, top) if above else high, below, above)


def bar(
    axes: Axes, x: float, median: float, quartiles: tuple[float, float], limits: tuple[float, float], color: ColorType
) -> None:
    """Draw the bar between two quartiles."""
    shown = ends(axes, median, quartiles, limits)
    axes.plot([x, x], [shown.low, shown.high], color=color, linewidth=1.0, alpha=0.8, zorder=2.1)
    _heads(axes, x, shown, color, {})


def band(axes: Axes, median: float, quartiles: tuple[float, float], limits: tuple[float, float], color: str) -> None:
    """Draw the band between two quartiles across the panel."""
    shown = ends(axes, median, quartiles, limits)
    axes.axhspan(shown.low, shown.high, color=color, alpha=0.13, linewidth=0, zorder=1.5)
    _heads(axes, _RIGHT, shown, color, {"transform": axes.get_yaxis_transform()})


def _heads(axes: Axes, x: float, shown: Ends, color: ColorType, where: dict[str, Any]) -> None:
    for end, beyond, up in ((shown.low, shown.below, False), (shown.high, shown.above, True)):
        if beyond:
            axes.plot([x], [end], **arrowhead(color, up=up), **where, zorder=2.2)
