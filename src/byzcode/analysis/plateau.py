"""The plateau of a trajectory: its level, and whether and when the trajectory reached it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.specs import last_part

#: The plateau is reached if the fitted drift is less than this factor ...
STEADY = 1.25
#: ... or less than this many standard deviations of the values around it (a plateau under attack is noisy) ...
SCATTER = 3.0
#: ... or if the values are below this fraction of the first one, where they are only rounding errors.
ROUNDING = 1e-20


class Plateau(NamedTuple):
    """Per seed, (R,): the level, whether it is reached, the index of the first record at it, and the drift.

    ``level`` is NaN for a seed that ended early; ``since`` is -1 for such a seed and if the plateau is not reached.
    ``drift`` is the change of the fitted logarithm from the first to the last record of the last two fifths; NaN if
    these records are too few for a trend. If too few iterations are recorded for a level, all seeds are NaN, False
    and -1.
    """

    level: NDArray[np.float64]
    reached: NDArray[np.bool_]
    since: NDArray[np.int64]
    drift: NDArray[np.float64]


def plateau(values: NDArray[np.float64], iterations: NDArray[Any]) -> Plateau:
    """The plateau of trajectories (R, n), recorded at ``iterations`` (n,), the last of which ends the training.

    The level is the weighted median over the last fifth of the iterations: each record represents all iterations since
    the previous record, so the level does not depend on the spacing of records. A trajectory is at its plateau from the
    first record on that is at most ``STEADY`` times the level.
    """
    if not last_part.enough(iterations):
        nothing = np.full(len(values), np.nan)
        return Plateau(nothing, np.zeros(len(values), dtype=bool), np.full(len(values), -1), nothing)
    last = int(last_part.within(iterations).sum())
    level = last_part.median_by_stretch(values[:, -last:], np.diff(iterations)[-last:])
    late = last_part.within(iterations, last_part.TREND)
    window = values[:, late]
    floor = ROUNDING * values[:, 0]
    drift, scatter = _trend(iterations[late], np.log(np.maximum(window, np.finfo(float).tiny)))
    steady = np.abs(drift) < np.maximum(np.log(STEADY), SCATTER * scatter)
    reached = steady | (window < floor[:, None]).all(axis=1)
    arrived = values <= np.maximum(STEADY * level, floor)[:, None]
    return Plateau(level, reached, since=np.where(reached, arrived.argmax(axis=1), -1), drift=drift)


def _trend(iterations: NDArray[Any], window: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The change along the least-squares line of each row, (R,), and the standard deviation around it, (R,)."""
    if len(iterations) < last_part.FEWEST:
        nothing = np.full(len(window), np.nan)
        return nothing, nothing
    place = (iterations - iterations.mean()) / np.ptp(iterations)
    centred = window - window.mean(axis=1, keepdims=True)
    slope = centred @ place / (place @ place)
    residual = centred - slope[:, None] * place
    return slope, residual.std(axis=1)
