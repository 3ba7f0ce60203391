"""The colours of a heatmap: one scale for all panels, on which brighter is better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize

from byzcode.figures.heatmap_cells import Cell
from byzcode.figures.heatmap_print import MOST_REGRET
from byzcode.figures.scale import extent, window
from byzcode.specs.quantities import ESTIMATE, is_share

#: The step to which the ends of a scale of shares are rounded.
_STEP = 0.1
#: matplotlib draws no colour bar of smaller numbers.
_LEAST = 1e-280
#: The range of a logarithmic scale of a single value, as a factor on both sides.
_AROUND = 1.1


@dataclass(frozen=True)
class Scale:
    """Maps numbers to colours. ``extend`` says at which ends numbers lie beyond it; they have the colour of the end."""

    norm: Normalize
    colors: str
    extend: Literal["neither", "both", "min", "max"]
    drawn: bool  # whether any number is drawn

    def color(self, value: float) -> tuple[float, float, float]:
        """The colour of a finite number."""
        low, high = self.limits
        red, green, blue, _ = colormaps[self.colors](float(self.norm(min(max(value, low), high))))
        return red, green, blue

    @property
    def limits(self) -> tuple[float, float]:
        """Its ends."""
        assert self.norm.vmin is not None
        assert self.norm.vmax is not None
        return self.norm.vmin, self.norm.vmax


def scale_of(cells: Iterable[Cell], quantity: str, *, regret: bool = False) -> Scale:
    """The scale of the cells: linear for shares and counts, logarithmic for other quantities, which are positive.

    A scale of regrets ends at :data:`MOST_REGRET`.

    Viridis is perceptually uniform, and readers with any colour vision see its order, as do prints in grey.
    """
    drawn = [(cell.number, cell.run is not None and cell.run.is_floor) for cell in cells if cell.number is not None]
    finite = [(value, floor) for value, floor in drawn if np.isfinite(value)]
    most = max((value for value, _ in finite), default=0.0)
    if regret:
        finite = [(min(value, MOST_REGRET), floor) for value, floor in finite]
    if is_share(quantity):
        return Scale(Normalize(*_of_shares([value for value, _ in finite])), "viridis", "neither", bool(finite))
    if quantity == ESTIMATE:
        return Scale(
            Normalize(0.0, max((value for value, _ in finite), default=1.0) or 1.0), "cividis", "neither", bool(finite)
        )
    positive = [span for value, floor in finite if (span := extent(np.array([value]), floor=floor))]
    bottom, top = window(positive)
    inside = [span.low for span in positive if bottom <= span.low <= top]
    low, high = min(inside, default=bottom), max(inside, default=top)
    if high < _AROUND * low:
        low, high = max(low / _AROUND, bottom), min(high * _AROUND, top)
    low, high = max(low, _LEAST), max(high, _AROUND * _LEAST)
    below, above = any(value < low for value, _ in finite), most > high
    extend: Literal["neither", "both", "min", "max"] = "neither"
    if below or above:
        extend = "both" if below and above else "min" if below else "max"
    return Scale(LogNorm(low, high), "viridis_r", extend, bool(finite))


def _of_shares(values: list[float]) -> tuple[float, float]:
    """The ends of a scale of shares, at multiples of a tenth."""
    if not values:
        return 0.0, 1.0
    low, high = np.floor(min(values) / _STEP + 1e-9) * _STEP, np.ceil(max(values) / _STEP - 1e-9) * _STEP
    if high - low < _STEP / 2:
        low, high = (low, low + _STEP) if low < 1 - _STEP / 2 else (1 - _STEP, 1.0)
    return float(low), float(high)
