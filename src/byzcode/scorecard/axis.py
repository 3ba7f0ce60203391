"""The axis on which intervals are drawn: one for all effects that share a unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from byzcode.scorecard.words import short

#: The share of cells at each end that may leave the axis, so that a few extreme cells do not flatten all others.
_OUT = 0.1
#: The largest and the smallest factor by which a logarithmic axis extends beyond the neutral values.
_FAR, _NEAR = 1e3, 2.0
_MOST_TICKS = 6
#: The limit of every axis; beyond it, ends and ticks would overflow.
_REACH = 1e200


class Tick(NamedTuple):
    """A tick of the axis: its position, 0 to 1, and its label."""

    place: float
    label: str


@dataclass(frozen=True)
class Axis:
    """An axis from ``low`` to ``high``, logarithmic or linear."""

    low: float
    high: float
    log: bool
    ticks: tuple[Tick, ...] = ()

    @classmethod
    def of(cls, cells: pd.DataFrame) -> Axis:
        """The axis for the cells of one unit (columns effect, low, high, neutral, band_low, band_high).

        The axis is logarithmic if no value is negative and all neutral values and bands are positive, as for ratios. It
        shows the neutral values, the bands and the intervals of most cells.
        """
        shown = cells[["neutral", "band_low", "band_high"]].to_numpy(dtype=float)
        neutral = [float(value) for value in shown[np.isfinite(shown)]]
        everything = cells[["effect", "low", "high"]].to_numpy(dtype=float)
        log = not (np.any(everything < 0) or min(neutral, default=1.0) <= 0)
        ends = [_end(cells, "low", _OUT, log), _end(cells, "high", 1 - _OUT, log)]
        known = [value for value in ends if value is not None]
        if log:
            return cls._logarithmic(known, neutral or [1.0])
        return cls._linear(known + neutral)

    @classmethod
    def _logarithmic(cls, ends: Sequence[float], shown: Sequence[float]) -> Axis:
        least, most = (min(max(value, 1 / _REACH), _REACH) for value in (min(shown), max(shown)))
        wanted = [*np.clip(ends, least / _FAR, most * _FAR), least / _NEAR, most * _NEAR]
        low, high = float(min(wanted)) / 1.1, float(max(wanted)) * 1.1
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for subs, every in ((_FIFTHS, 1), (_THIRDS, 1), ((1.0,), 1), ((1.0,), 2), ((1.0,), 3)):
            values = [sub * 10.0**decade for decade, sub in product(decades, subs) if decade % every == 0]
            values = [value for value in values if low <= value <= high]
            if len(values) <= _MOST_TICKS:
                break
        return cls(low, high, log=True)._with(values)

    @classmethod
    def _linear(cls, values: Sequence[float]) -> Axis:
        from matplotlib.ticker import MaxNLocator

        kept = np.clip(values, -_REACH, _REACH)
        low, high = (float(kept.min()), float(kept.max())) if values else (0.0, 1.0)
        ticks = [float(value) for value in MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)]
        return cls(ticks[0], ticks[-1], log=False)._with(ticks)

    def _with(self, values: Sequence[float]) -> Axis:
        ticks = tuple(Tick(self.at(value), short(value)) for value in values)
        return Axis(self.low, self.high, self.log, ticks)

    def at(self, value: float) -> float:
        """The position of a value, 0 to 1; values beyond the axis are moved to its end."""
        inside = min(max(value, self.low), self.high)
        low, high, place = map(math.log, (self.low, self.high, inside)) if self.log else (self.low, self.high, inside)
        return round((place - low) / (high - low), 4)

    def beyond(self, value: float) -> int:
        """-1 below the axis, 1 above it, else 0."""
        return (value > self.high) - (value < self.low)


_FIFTHS, _THIRDS = (1.0, 2.0, 5.0), (1.0, 3.0)


@dataclass(frozen=True)
class Interval:
    """An effect as it is drawn. Positions are from 0 to 1; None for missing parts."""

    point: float | None
    outside: int  # -1 or 1 if the point is beyond the axis, else 0
    line: tuple[float, float] | None
    arrows: tuple[int, ...]  # the ends at which the line leaves the axis: -1, 1
    neutral: float | None
    band: tuple[float, float] | None

    @classmethod
    def of(
        cls, axis: Axis, effect: float, low: float, high: float, neutral: float, band: tuple[float, float]
    ) -> Interval:
        """The drawing of one effect with its 95 % interval; missing values are NaN."""
        # An interval entirely beyond the axis has no line; its point shows the side.
        known = not (math.isnan(low) or math.isnan(high))
        seen = known and axis.beyond(low) * axis.beyond(high) <= 0
        return cls(
            point=None if math.isnan(effect) else axis.at(effect),
            outside=axis.beyond(effect),
            line=(axis.at(low), axis.at(high)) if seen else None,
            arrows=tuple(side for side, end in ((-1, low), (1, high)) if seen and axis.beyond(end) == side),
            neutral=None if math.isnan(neutral) else axis.at(neutral),
            band=None if any(map(math.isnan, band)) else (axis.at(band[0]), axis.at(band[1])),
        )


def _end(cells: pd.DataFrame, end: str, share: float, log: bool) -> float | None:
    """A quantile of one end of the intervals; the effect replaces an end that is missing or cannot be shown."""
    ends, effects = (cells[name].where(np.isfinite(cells[name])) for name in (end, "effect"))
    if log:
        ends, effects = ends.where(ends > 0), effects.where(effects > 0)
    values = ends.fillna(effects).dropna()
    return float(np.quantile(values, share, method="nearest")) if len(values) else None
