"""Examples dealt out in turn, in an order that begins at random."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.data.data_set import Partition


def shifted(labels: NDArray[np.int64], subsets: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Every M-th example, (M, s)."""
    order = np.roll(np.arange(len(labels)), generator.integers(1, len(labels)))
    return order[: len(labels) // subsets * subsets].reshape(-1, subsets).T


ENTRY = Partition(shifted)
