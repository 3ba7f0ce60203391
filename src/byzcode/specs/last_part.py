"""The last part of a training: which recorded iterations lie in it, and whether they are enough for a level.

A part is one of the iterations and not of the recorded points, so the same training has the same last fifth at whatever
iterations it is recorded. The last fifth of T iterations are those after 4 T / 5, and iteration 0 is never among them.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from byzcode.specs.settings import Record

#: A level is taken over this last part of the iterations; drift is looked for over this last part.
LEVEL, TREND = Fraction(1, 5), Fraction(2, 5)
#: A level needs so many recorded iterations, or half of those in its part, if that is less. A trend needs so many.
FEWEST = 3
#: The column of a summary that says why a run has no level; it is there where a run of the study has none.
NO_LEVEL = "no_level"
#: With log-spaced records at most so many points a decade.
_MOST_A_DECADE = 1000

#: What is averaged over the last fifth: its iterations, or its steps. A step is recorded where it begins.
What = Literal["iterations", "steps"]


def begin(last: int, part: Fraction = LEVEL) -> int:
    """The iteration after which the last part of ``last`` iterations begins."""
    return int((1 - part) * last)


def within(iterations: NDArray[Any], part: Fraction = LEVEL) -> NDArray[np.bool_]:
    """Which recorded iterations (n,), the last of which ends the training, lie in its last part."""
    found: NDArray[np.bool_] = iterations > begin(int(iterations[-1]), part)
    return found


def steps_within(iterations: NDArray[Any], part: Fraction = LEVEL) -> NDArray[np.bool_]:
    """Which recorded iterations (n,) begin a step that leads into the last part of a training; never iteration 0."""
    last = int(iterations[-1])
    found: NDArray[np.bool_] = (iterations >= max(1, begin(last, part))) & (iterations < last)
    return found


def enough(iterations: NDArray[Any]) -> bool:
    """Whether the recorded iterations (n,) are enough for a level."""
    last = int(iterations[-1])
    return bool(within(iterations).sum() >= _wanted(last - begin(last)))


def median_by_stretch(values: NDArray[np.float64], stretches: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median of values (R, n) of which each stands for so many iterations (n,), (R,); NaN in a row that has one.

    Where all stand for equally many it is the plain median.
    """
    order = values.argsort(axis=1, kind="stable")
    below = stretches[order].cumsum(axis=1)  # whole numbers: a half is met exactly
    places = np.stack([(2 * below >= stretches.sum()).argmax(axis=1), (2 * below > stretches.sum()).argmax(axis=1)])
    lower, upper = np.take_along_axis(values, np.take_along_axis(order, places.T, axis=1), axis=1).T
    return np.where(np.isnan(values).any(axis=1), np.nan, (lower + upper) / 2)


def mean_by_stretch(values: NDArray[np.float64], stretches: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of values (R, n) of which each stands for so many iterations (n,), (R,); NaN where there are none."""
    if not stretches.size:
        return np.full(len(values), np.nan)
    weights = stretches / stretches.min()  # 1 if all are equal, and the mean is then the plain one to the last bit
    mean: NDArray[np.float64] = (values * weights).sum(axis=1) / weights.sum()
    return mean


@lru_cache(maxsize=4096)
def lacking(record: Record, last: int, what: What = "iterations") -> str | None:
    """Why a training of ``last`` iterations is recorded too seldom for a level, and what is allowed; None if it is not.

    What is allowed is of ``record.step``.
    """
    there = last - (begin(last) if what == "iterations" else max(1, begin(last)))
    found, wanted = _recorded(record, last, what), _wanted(there)
    if found >= wanted:
        return None
    if record.spacing == "every":
        allowed = f"1 to {_most_apart(record, last, what, wanted)} iterations"
    else:
        allowed = f"{_least_a_decade(record, last, what, wanted)} to {_MOST_A_DECADE} points a decade"
    return f"records {found} of the last {there} {what} of {last}, and a level needs {wanted}; allowed: {allowed}"


def _wanted(there: int) -> int:
    return min(FEWEST, -(-there // 2))


def _recorded(record: Record, last: int, what: What) -> int:
    if what == "iterations":
        return len(record.iterations(last, after=begin(last)))
    return len(record.iterations(last, after=max(1, begin(last)) - 1)) - 1


def _most_apart(record: Record, last: int, what: What, wanted: int) -> int:
    """The number of iterations from one record to the next up to which all are enough."""
    most = max(1, int(LEVEL * last / FEWEST))  # three of these stretches fit into the last fifth
    while most < FEWEST and _recorded(record.model_copy(update={"step": most + 1}), last, what) >= wanted:
        most += 1
    return most


def _least_a_decade(record: Record, last: int, what: What, wanted: int) -> int:
    """The number of points a decade from which on all are enough; the most that are allowed always are."""
    for step in range(_MOST_A_DECADE, 0, -1):
        if _recorded(record.model_copy(update={"step": step}), last, what) < wanted:
            return step + 1
    return 1
