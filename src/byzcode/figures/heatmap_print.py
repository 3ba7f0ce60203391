"""The numbers in the cells of a heatmap: how they are written, and the largest size at which they fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from byzcode.figures.fit import Ruler
from byzcode.figures.heatmap_cells import Cell
from byzcode.specs.quantities import is_share

#: Sizes in points with digits to write, best first: with the spread below the number, and without it.
_WITH = ((8.0, 1), (7.0, 1), (6.5, 1), (6.0, 1))
_WITHOUT = ((8.0, 1), (7.0, 1), (6.5, 1), (6.0, 1), (5.5, 1), (7.0, 0), (6.5, 0), (6.0, 0), (5.5, 0), (5.0, 0))
#: The size of the spread relative to that of the number, and the part of a cell that words may fill.
_SMALL, _FILLED = 0.78, 0.9
#: Numbers between these powers of ten are written without an exponent.
_PLAIN = (-3, 4)
#: Larger regrets are not told apart: a method that is exact without liars has immense ones.
MOST_REGRET = 99.5


@dataclass(frozen=True)
class Print:
    """The size of the numbers in points, their further digits, and whether the spread is below them."""

    size: float
    digits: int
    with_spread: bool

    @property
    def small(self) -> float:
        """The size of the spread in points."""
        return _SMALL * self.size

    @property
    def height(self) -> float:
        """The height of a row of cells, in inches."""
        return (self.size + (1.1 * self.small if self.with_spread else 0.0) + 6.0) / 72

    def number(self, cell: Cell) -> str:
        """The number of a cell in words; empty if it has none."""
        value = cell.number
        if value is None:
            return ""
        if np.isinf(value):
            return "\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}"
        if cell.plot.regret and value > MOST_REGRET:
            return f">{int(MOST_REGRET)}"
        return written(value, self.digits, cell.plot.y)

    def spread(self, cell: Cell) -> str:
        """The spread of a cell in words; empty if it is not to be written, or has no value."""
        spread = cell.average.spread
        if not self.with_spread or not cell.number or not np.isfinite(spread):
            return ""
        digits = self.digits if is_share(cell.plot.y) else 0
        return "\N{PLUS-MINUS SIGN}" + written(spread, digits, cell.plot.y)


def written(value: float, digits: int, quantity: str) -> str:
    """A number with few digits, and with a true minus sign; a share in percent."""
    if is_share(quantity):
        return f"{100 * value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
    mantissa, _, power = f"{value:.{digits}e}".partition("e")
    exponent = int(power)
    if value == 0:
        return "0"
    plain = f"{float(f'{value:.{digits}e}'):.{max(0, digits - exponent)}f}"
    shown = plain if _PLAIN[0] <= exponent < _PLAIN[1] else f"{mantissa}e{exponent}"
    return shown.replace("-", "\N{MINUS SIGN}")


def fitting(cells: Sequence[Cell], room: float, ruler: Ruler) -> Print:
    """The largest print at which every number fits into a cell that is ``room`` inches wide, if any does."""
    for with_spread, sizes in ((True, _WITH), (False, _WITHOUT)):
        for size, digits in sizes:
            tried = Print(size, digits, with_spread)
            words = {(tried.number(cell), size, "bold" if cell.is_worst else "normal") for cell in cells}
            words |= {(tried.spread(cell), tried.small, "normal") for cell in cells}
            if all(ruler.width(text, points, weight=weight) <= _FILLED * room for text, points, weight in words):
                return tried
    return Print(*_WITHOUT[-1], with_spread=False)
