"""The Pareto front: what no other choice beats in cost and in result."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def efficient(costs: ArrayLike, levels: ArrayLike) -> NDArray[np.bool_]:
    """Whether no other point costs at most as much and has at most the same level, with one of the two lower.

    Shapes: (n,) and (n,) to (n,). A point whose level is not finite is not efficient. Cost: n^2.
    """
    cost, level = np.asarray(costs, dtype=float), np.asarray(levels, dtype=float)
    level = np.where(np.isfinite(level), level, np.inf)
    no_worse = (cost[:, None] <= cost) & (level[:, None] <= level)
    better = (cost[:, None] < cost) | (level[:, None] < level)
    keep: NDArray[np.bool_] = np.isfinite(level) & ~np.any(no_worse & better, axis=0)
    return keep
