"""Marks on an edge of a panel, for values without a height in it; marks at the same place are stacked upwards."""

from __future__ import annotations

from collections import Counter
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

#: The distance between stacked marks in points.
STACK = 7.0


class Edge:
    """The upper edge of a panel, or the lower one where less is worse. ``stacked`` counts the marks at each place."""

    def __init__(self, axes: Axes, top: float) -> None:
        self.axes, self.top, self.stacked = axes, top, Counter[float]()

    def mark(self, x: float, look: dict[str, Any], *, of_panel: bool = False) -> None:
        """Draw a mark at ``x``, in data coordinates or, with ``of_panel``, as a fraction of the panel."""
        base = self.axes.get_yaxis_transform() if of_panel else self.axes.transData
        lift = ScaledTranslation(0, self.stacked[x] * STACK / 72, self.axes.figure.dpi_scale_trans)
        self.axes.plot([x], [self.top], **look, transform=base + lift, clip_on=False, zorder=5)
        self.stacked[x] += 1

    @property
    def height(self) -> float:
        """The height of the stacked marks above the first, in points."""
        return STACK * max(0, max(self.stacked.values(), default=0) - 1)
