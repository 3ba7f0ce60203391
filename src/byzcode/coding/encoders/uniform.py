"""Uniform weights 1/r: devices average. CRA-DL says so in words; for LAD it is inferred."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.scheme import EMPTY
from byzcode.coding.encoder import Encoder


def uniform(assigned: NDArray[np.int32], subsets: int) -> NDArray[np.float64]:
    """Each device averages the gradients of its subsets, with weight 1 / (number of its subsets).

    ``assigned`` (N, S); returns weights (N, S), 0 in empty slots. Unbiased over the draw of the allocation; for a given
    allocation with uneven replication, the mean over devices is not the gradient.
    """
    present = assigned != EMPTY
    weight: NDArray[np.float64] = present / np.maximum(present.sum(axis=1, keepdims=True), 1)
    return weight


ENTRY = Encoder(uniform)
