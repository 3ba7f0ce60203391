"""Each subset is sent by the first device that holds it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.scheme import EMPTY
from byzcode.coding.encoder import Encoder


def first_holder(assigned: NDArray[np.int32], subsets: int) -> NDArray[np.float64]:
    """Weight N / M on the first device that holds a subset, 0 on the others.

    ``assigned`` (N, S); returns weights (N, S), 0 in empty slots. The mean over all devices is the gradient of the
    subsets that some device holds.
    """
    weights = np.zeros(assigned.shape)
    _, first = np.unique(assigned, return_index=True)
    weights.flat[first] = len(assigned) / subsets
    return np.where(assigned == EMPTY, 0.0, weights)


ENTRY = Encoder(first_holder, title="first holder only")
