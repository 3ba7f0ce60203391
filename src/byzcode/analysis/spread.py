"""The spread over seeds in figures and summaries: median and interquartile range."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Spread(NamedTuple):
    """Median and quartiles over seeds, each of shape (...)."""

    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def spread(values: NDArray[np.float64], *, more_is_better: bool = False) -> Spread:
    """Median and quartiles over the first axis, linearly interpolated; a seed that ended early (NaN) is infinite.

    Where more is better it is minus infinity. The median is therefore finite until half of the seeds have ended, and no
    seed is dropped silently.
    """
    if more_is_better:
        lost = spread(-values)
        return Spread(-lost.median, -lost.high, -lost.low)
    ordered = np.sort(np.where(np.isnan(values), np.inf, values), axis=0)

    def quantile(part: float) -> Any:
        place = part * (len(ordered) - 1)
        below, above = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
        share = place % 1
        return below if share == 0 else (1 - share) * below + share * above

    return Spread(median=quantile(0.5), low=quantile(0.25), high=quantile(0.75))
