"""The plateau of a trajectory: where it ends, whether it has got there, and when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: The level is the median over this last part of the recorded iterations; drift is looked for over this last part.
LEVEL, TREND = 0.2, 0.4
#: The plateau is reached if the fitted drift is less than this factor ...
STEADY = 1.25
#: ... or less than so many standard deviations of the values around it (a plateau under attack is noisy) ...
SCATTER = 3.0
#: ... or if the values lie below this part of the first one, where only rounding is left.
ROUNDING = 1e-20


class Plateau(NamedTuple):
    """Per seed, (R,): the level, whether the trajectory is at it, the recorded place where it first was, and its drift.

    ``level`` is NaN and ``since`` -1 for a seed that ended early; ``since`` is -1 too where the plateau is not reached.
    ``drift`` is the change of the fitted logarithm over the last part.
    """

    level: NDArray[np.float64]
    reached: NDArray[np.bool_]
    since: NDArray[np.int64]
    drift: NDArray[np.float64]


def plateau(values: NDArray[np.float64]) -> Plateau:
    """The plateau of trajectories (R, n), of n recorded iterations.

    A trajectory has been at its plateau since the first recorded value that is at most ``STEADY`` times the level.
    """
    level = np.median(_last(values, LEVEL), axis=1)
    window = _last(values, TREND)
    floor = ROUNDING * values[:, 0]
    drift, scatter = _trend(np.log(np.maximum(window, np.finfo(float).tiny)))
    steady = np.abs(drift) < np.maximum(np.log(STEADY), SCATTER * scatter)
    reached = steady | (window < floor[:, None]).all(axis=1)
    arrived = values <= np.maximum(STEADY * level, floor)[:, None]
    return Plateau(level, reached, since=np.where(reached, arrived.argmax(axis=1), -1), drift=drift)


def _last(values: NDArray[np.float64], part: float) -> NDArray[np.float64]:
    return values[:, -max(3, round(part * values.shape[1])) :]


def _trend(window: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The change of the least-squares line over each row, (R,), and the scatter around the line, (R,)."""
    place = np.linspace(-0.5, 0.5, window.shape[1])
    centred = window - window.mean(axis=1, keepdims=True)
    slope = centred @ place / (place @ place)
    residual = centred - slope[:, None] * place
    return slope, residual.std(axis=1)
