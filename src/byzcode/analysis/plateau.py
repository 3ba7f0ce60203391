"""The plateau of a trajectory: where it ends, whether it has got there, and when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: The plateau is the median over this last part of the recorded iterations.
WINDOW = 0.2
#: It is reached if the medians of the window's two halves differ by less than this factor ...
STEADY = 1.25
#: ... or lie below this part of the first value, where only rounding is left.
ROUNDING = 1e-20


class Plateau(NamedTuple):
    """Per seed, (R,): the level, whether the trajectory is at it, and the recorded place where it first was.

    ``level`` is NaN and ``since`` -1 for a seed that diverged; ``since`` is -1 too where the plateau is not reached.
    """

    level: NDArray[np.float64]
    reached: NDArray[np.bool_]
    since: NDArray[np.int64]


def plateau(values: NDArray[np.float64]) -> Plateau:
    """The plateau of trajectories (R, n), of n recorded iterations.

    A trajectory has been at its plateau since the first recorded value that is at most ``STEADY`` times the level.
    """
    recorded = values.shape[1]
    window = values[:, -max(2, round(WINDOW * recorded)) :]
    half = window.shape[1] // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.median(window, axis=1)
        early, late = np.median(window[:, :half], axis=1), np.median(window[:, half:], axis=1)
        ratio = np.maximum(early, late) / np.minimum(early, late)
    floor = ROUNDING * values[:, 0]
    reached = (ratio < STEADY) | (np.maximum(early, late) < floor)
    arrived = values <= np.maximum(STEADY * level, floor)[:, None]
    since = np.where(reached, arrived.argmax(axis=1), -1)
    return Plateau(level, reached, since)
