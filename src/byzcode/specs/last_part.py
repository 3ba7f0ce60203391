"""The last part of a training: which recorded iterations lie in it, and whether they are enough for a level.

A part is a fraction of the iterations, not of the recorded points, so the last fifth of a training does not depend on
which iterations are recorded. The last fifth of T iterations are those after 4 T / 5. It never contains iteration 0.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from byzcode.specs.settings import Record

#: The last part of the iterations that a level is computed over, and the part that a trend is tested over.
LEVEL, TREND = Fraction(1, 5), Fraction(2, 5)
#: The recorded iterations that a level needs (or half of all iterations in its part, if that is less), or a trend.
FEWEST = 3
#: The column of a summary that says why a run has no level. A summary has it only if some run has no level.
NO_LEVEL = "no_level"
#: The most points per decade of log-spaced records.
_MOST_A_DECADE = 1000

#: Whether to average over the iterations of the last fifth, or over its steps. A step is recorded where it begins.
Unit = Literal["iterations", "steps"]


def begin(last: int, part: Fraction = LEVEL) -> int:
    """The iteration after which the last part of ``last`` iterations begins."""
    return int((1 - part) * last)


def within(iterations: NDArray[Any], part: Fraction = LEVEL) -> NDArray[np.bool_]:
    """Which recorded iterations (n,) lie in the last part of a training, which the last of them ends."""
    inside: NDArray[np.bool_] = iterations > begin(int(iterations[-1]), part)
    return inside


def steps_within(iterations: NDArray[Any], part: Fraction = LEVEL) -> NDArray[np.bool_]:
    """Which recorded iterations (n,) begin a step that leads into the last part of a training; never iteration 0."""
    last = int(iterations[-1])
    inside: NDArray[np.bool_] = (iterations >= max(1, begin(last, part))) & (iterations < last)
    return inside


def enough(iterations: NDArray[Any]) -> bool:
    """Whether the recorded iterations (n,) are enough for a level."""
    last = int(iterations[-1])
    return bool(within(iterations).sum() >= _wanted(last - begin(last)))


def median_by_stretch(values: NDArray[np.float64], stretches: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weighted median (R,) of values (R, n); ``stretches`` (n,) are the weights: iterations per value.

    A row that contains NaN has the median NaN. With equal weights this is the plain median.
    """
    order = values.argsort(axis=1, kind="stable")
    below = stretches[order].cumsum(axis=1)  # integers, so the comparison with half of the sum is exact
    places = np.stack([(2 * below >= stretches.sum()).argmax(axis=1), (2 * below > stretches.sum()).argmax(axis=1)])
    lower, upper = np.take_along_axis(values, np.take_along_axis(order, places.T, axis=1), axis=1).T
    return np.where(np.isnan(values).any(axis=1), np.nan, (lower + upper) / 2)


def mean_by_stretch(values: NDArray[np.float64], stretches: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weighted mean (R,) of values (R, n); ``stretches`` (n,) are the weights, as above. NaN if n is 0."""
    if not stretches.size:
        return np.full(len(values), np.nan)
    weights = stretches / stretches.min()  # equal weights become 1, so the result is bitwise the plain mean
    mean: NDArray[np.float64] = (values * weights).sum(axis=1) / weights.sum()
    return mean


@lru_cache(maxsize=4096)
def lacking(record: Record, last: int, unit: Unit = "iterations") -> str | None:
    """Why the recorded iterations of a training are too few for a level, and what is allowed; None if they are enough.

    The training has ``last`` iterations. The allowed values are those of ``record.step``.
    """
    in_part = last - (begin(last) if unit == "iterations" else max(1, begin(last)))
    recorded, wanted = _recorded(record, last, unit), _wanted(in_part)
    if recorded >= wanted:
        return None
    if record.spacing == "every":
        allowed = f"1 to {_most_apart(record, last, unit, wanted)} iterations"
    else:
        allowed = f"{_least_a_decade(record, last, unit, wanted)} to {_MOST_A_DECADE} points per decade"
    return f"records {recorded} of the last {in_part} {unit} of {last}, and a level needs {wanted}; allowed: {allowed}"


def _wanted(in_part: int) -> int:
    return min(FEWEST, -(-in_part // 2))


def _recorded(record: Record, last: int, unit: Unit) -> int:
    if unit == "iterations":
        return len(record.iterations(last, after=begin(last)))
    return len(record.iterations(last, after=max(1, begin(last)) - 1)) - 1


def _most_apart(record: Record, last: int, unit: Unit, wanted: int) -> int:
    """The largest distance between records up to which every distance gives enough records."""
    most = max(1, int(LEVEL * last / FEWEST))  # three of these stretches fit into the last fifth
    while most < FEWEST and _recorded(record.model_copy(update={"step": most + 1}), last, unit) >= wanted:
        most += 1
    return most


def _least_a_decade(record: Record, last: int, unit: Unit, wanted: int) -> int:
    """The number of points per decade from which every number gives enough; the largest allowed number always does."""
    for step in range(_MOST_A_DECADE, 0, -1):
        if _recorded(record.model_copy(update={"step": step}), last, unit) < wanted:
            return step + 1
    return 1
