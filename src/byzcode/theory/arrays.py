"""The arrays that the formulas use."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def floats(values: ArrayLike) -> Floats:
    """Convert numbers to an array of float64."""
    return np.asarray(values, dtype=np.float64)
