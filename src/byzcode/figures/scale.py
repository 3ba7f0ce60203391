"""Axes: limits that are robust against a single extreme curve, ticks, and labels that keep their distance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MultipleLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from byzcode.figures.style import number, value_words

#: A curve below the next one by more than this factor leaves the panel, so that rounding errors do not take up twenty
#: decades. The second factor applies to curves that use the true gradient.
_GAP, _FLOOR_GAP = 1e8, 1e3
#: The factor by which the panel then extends below the lowest remaining curve.
_BELOW = 30.0

#: The range of logarithmic axes; beyond it, margins and ticks would overflow.
_LEAST, _MOST = 1e-300, 1e300
#: Beyond these limits, matplotlib's own ticks may overflow; ours, at most this many, replace them.
_FAR, _TICKS = (1e-200, 1e200), 6

#: Powers of ten that an axis of large numbers may leave out of its labels.
_POWERS = (12, 9, 6, 3)
#: An axis of costs that spans more than this factor keeps powers of ten as labels.
_WIDEST_COSTS = 1e4
#: The ticks of an axis that spans less than a factor: these multiples of powers of ten. Else only the powers.
_SUBS = ((100, (1.0, 2.0, 5.0)), (300, (1.0, 3.0)))


class Extent(NamedTuple):
    """The lowest and the highest median of a curve in a panel; ``floor`` as in :attr:`Run.is_floor`."""

    low: float
    high: float
    floor: bool = False


def extent(median: NDArray[np.float64], *, floor: bool = False) -> Extent | None:
    """The extent of the medians that a logarithmic axis can show, or None."""
    shown = np.clip(median[np.isfinite(median) & (median > 0)], _LEAST, _MOST)
    return Extent(float(shown.min()), float(shown.max()), floor) if shown.size else None


def near(values: NDArray[np.float64], bottom: float, top: float) -> NDArray[np.float64]:
    """The values, clipped to at most a little beyond the panel."""
    close: NDArray[np.float64] = np.clip(values, bottom * 1e-3, min(top * 1e3, 1e3 * _MOST))
    return close


def window(extents: Iterable[Extent]) -> tuple[float, float]:
    """The limits of a logarithmic axis."""
    bottom, top = _window(extents)
    return max(bottom, _LEAST / _BELOW), min(top, _MOST * _BELOW)


def _window(extents: Iterable[Extent]) -> tuple[float, float]:
    falling = sorted(extents, key=lambda span: span.low, reverse=True)
    if not falling:
        return 0.1, 10.0
    bottom, top = falling[0].low, max(span.high for span in falling)
    for span in falling:
        if bottom > span.low * (_FLOOR_GAP if span.floor else _GAP):
            return bottom / _BELOW, top * (top * _BELOW / bottom) ** 0.04
        bottom = span.low
    margin = max((top / bottom) ** 0.05, 1.1)
    return bottom / margin, top * margin


def plain_ticks(axes: Axes, low: float, high: float) -> None:
    """Set the ticks of a logarithmic x axis: plain numbers, at 1, 2 and 5 times powers of ten if there is room."""
    decades = np.log10(high / low)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 1.5 else (1.0,)))
    if high < 1e5:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    if not _FAR[0] < low < high < _FAR[1]:
        _few_decades(axes.xaxis, low, high)


def cost_ticks(axes: Axes, low: float, high: float) -> str:
    """Set the ticks of a logarithmic x axis of large numbers; returns the power of ten that their labels leave out."""
    axes.xaxis.set_minor_formatter(NullFormatter())
    if high / low > _WIDEST_COSTS:
        return ""
    power = next((power for power in _POWERS if high >= 10.0 ** (power + 1)), 0)
    size = 10.0**power
    subs = next((subs for most, subs in _SUBS if high / low < most), (1.0,))
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value / size)))
    return f"in $10^{{{power}}}$" if power else ""


#: The limits of an axis of shares: a share of 1 is seen below the upper one.
SHARES = (0.0, 1.02)


def share_y(axes: Axes) -> None:
    """A linear y axis for shares, from 0 to 1."""
    axes.set_ylim(*SHARES)
    axes.yaxis.set_major_locator(MultipleLocator(0.2))


def log_y(axes: Axes, bottom: float, top: float) -> None:
    """Make the y axis logarithmic with these limits, and label its ticks even if it spans less than a decade."""
    axes.set_yscale("log", nonpositive="mask")
    axes.set_ylim(bottom, top)
    log_ticks(axes.yaxis, bottom, top)


def log_ticks(axis: Axis, bottom: float, top: float) -> None:
    """Label the ticks of a logarithmic axis, even if it spans less than a decade."""
    if top / bottom < 1e3 and 1e-3 < bottom < top < 1e5:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if top / bottom < 50 else (1.0, 3.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())
    if not _FAR[0] < bottom < top < _FAR[1]:
        _few_decades(axis, bottom, top)


def _few_decades(axis: Axis, low: float, high: float) -> None:
    """Set the ticks of a logarithmic axis of extreme range."""
    first, last = int(np.ceil(np.log10(low))), int(np.floor(np.log10(high)))
    axis.set_major_locator(
        FixedLocator([10.0**power for power in range(first, last + 1, 1 + max(0, last - first) // _TICKS)])
    )
    axis.set_minor_locator(NullLocator())


#: Numbers are placed side by side, like names, if they are closer than this fraction of the axis, or if they exceed the
#: largest size on a linear axis or the largest range on a logarithmic axis.
_CLOSE, _LARGE, _STRETCH = 0.01, 1e12, 1e150
#: Numbers such as 0, 0.01 and 0.1 are placed side by side if they are closer than this fraction of a linear axis and
#: their distances differ by more than the factor: their labels would collide.
_APART, _UNEVEN = 0.12, 3.0
#: Values that are at least this fraction of the axis apart each have a label.
_LABELLED = 0.08


class Positions:
    """The positions of a key's values on an x axis: at their numbers, or side by side for names."""

    def __init__(self, key: str, values: Sequence[Any], *, nominal: bool = False) -> None:
        self.key, self.values = key, list(values)
        self.nominal = nominal or not _is_scale(self.values)
        numbers = self.values if not self.nominal else list(range(len(self.values)))
        self.low, self.high = (min(numbers), max(numbers)) if numbers else (0, 1)
        self.log = not self.nominal and self.low > 0 and self.high > 10 * self.low

    def at(self, value: Any, nudge: float) -> float:
        """The position of a value, shifted by ``nudge``, a fraction of the axis."""
        place = float(self.values.index(value)) if self.nominal else float(value)
        if self.log:
            return float(place * (self.high / self.low) ** nudge)
        return place + nudge * float(self.high - self.low or 1)

    def between(self, number: float) -> float:
        """The position of any number; between names that are numbers, in proportion."""
        return float(np.interp(number, self.values, range(len(self.values)))) if self.nominal else number

    @property
    def closest(self) -> float:
        """The smallest distance between two values, as a fraction of the axis."""
        if len(self.values) < 2:
            return 1.0
        return _closest([self.at(value, 0.0) for value in self.values], log=self.log)

    @property
    def words(self) -> list[str]:
        """The names to put side by side; empty for values at their numbers."""
        return [value_words(self.key, value) for value in self.values] if self.nominal else []

    @property
    def ticks(self) -> list[float]:
        """The places of the names."""
        return [float(place) for place in range(len(self.words))]

    def dress(self, axes: Axes) -> None:
        """Set scale, limits and ticks of the axis."""
        if self.log:
            axes.set_xscale("log")
            plain_ticks(axes, self.low, self.high)
        elif self.nominal:
            words = self.words
            axes.set_xticks(range(len(words)), words, rotation=30, ha="right", rotation_mode="anchor")
        elif len(self.values) <= 5 and self.closest > _LABELLED:
            axes.set_xticks(self.values, [value_words(self.key, value) for value in self.values])
        pad = 0.25 if self.nominal else 0.06
        axes.set_xlim(self.at(self._first, -pad), self.at(self._last, pad))

    @property
    def _first(self) -> Any:
        return self.values[0] if self.nominal else self.low

    @property
    def _last(self) -> Any:
        return self.values[-1] if self.nominal else self.high


class Measured(Positions):
    """An axis of a measured quantity: each point at its own number, not moved aside. It extends to all ``ends``."""

    def __init__(self, key: str, ends: Iterable[float]) -> None:
        super().__init__(key, [])
        self.values = [end for end in ends if np.isfinite(end)]
        self.nominal = False
        self.low, self.high = (min(self.values), max(self.values)) if self.values else (0.0, 1.0)
        self.log = self.low > _LEAST and 10 * self.low < self.high < _MOST

    def at(self, value: Any, nudge: float) -> float:
        """The number itself; NaN, which nothing is drawn at, if it is not finite. ``nudge`` is ignored."""
        del nudge
        return float(value) if np.isfinite(value) else np.nan

    @property
    def closest(self) -> float:
        """Points are not moved, so that they never are too close."""
        return 1.0

    def dress(self, axes: Axes) -> None:
        """Set scale, limits and ticks of the axis."""
        if self.log:
            axes.set_xscale("log")
            plain_ticks(axes, self.low, self.high)
            axes.set_xlim(super().at(self.low, -_MARGIN), super().at(self.high, _MARGIN))
            return
        span = max(self.high - self.low, _MARGIN * abs(self.high))
        span = span if span > _FAR[0] else 1.0  # matplotlib cannot separate smaller numbers
        axes.set_xlim(self.low - _MARGIN * span, self.high + _MARGIN * span)


#: The margin on both sides of an axis of a measured quantity, as a fraction of the axis.
_MARGIN = 0.05


class Slots(Positions):
    """Columns of cells, side by side even if their values are numbers; with ``last``, one more that stands apart."""

    def __init__(self, key: str, values: Sequence[Any], last: str | None = None) -> None:
        super().__init__(key, values, nominal=True)
        self.last = last

    @property
    def words(self) -> list[str]:
        """The names below the columns."""
        return [*super().words, *([self.last] if self.last else [])]

    @property
    def ticks(self) -> list[float]:
        """The centres of the columns, each of width 1."""
        places = [float(place) for place in range(len(self.values))]
        return [*places, len(places) + _SET_OFF] if self.last else places

    def dress(self, axes: Axes) -> None:
        """Set the limits of the axis; the names follow when the page is arranged."""
        axes.set_xlim(-0.5, self.ticks[-1] + 0.5)


#: The gap before the last column, in columns.
_SET_OFF = 0.3


def _is_scale(values: Sequence[Any]) -> bool:
    """Whether all values are numbers that a linear or logarithmic axis can separate."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return False
    if len(values) < 2:
        return all(abs(value) < _LARGE for value in values)
    low, high = min(values), max(values)
    if low > 0 and high > 10 * low:
        return low >= 1 / _STRETCH and high <= _STRETCH and _closest(values, log=True) > _CLOSE**2
    if max(-low, high) >= _LARGE:
        return False
    return _closest(values, log=False) > (_CLOSE if _is_even(values) else _APART)


def _is_even(values: Sequence[float]) -> bool:
    """Whether the distances between neighbouring numbers hardly differ."""
    steps = np.diff(np.sort(np.asarray(values, dtype=float)))
    return bool(steps.max() <= _UNEVEN * steps.min())


def _closest(places: Sequence[float], *, log: bool) -> float:
    """The smallest distance between two places, as a fraction of their range."""
    ordered = np.sort(np.asarray(places, dtype=float))
    along = np.log(ordered) if log else ordered
    return float(np.diff(along).min() / (along[-1] - along[0]))


def apart(places: Sequence[float], gap: float) -> list[float]:
    """The nearest places (least squares) between 0 and 1 that are at least ``gap`` apart, in the same order."""
    order = np.argsort(places, kind="stable")
    blocks: list[list[float]] = []  # blocks of touching labels: desired places, each minus rank times gap
    for rank, place in enumerate(order):
        blocks.append([places[place] - rank * gap])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    room = max(0.0, 1 - gap * (len(places) - 1))
    settled = [float(np.clip(np.mean(block), 0, room)) for block in blocks for _ in block]
    result = [0.0] * len(places)
    for rank, place in enumerate(order):
        result[int(place)] = settled[rank] + rank * gap
    return result
