"""Examples divided at random."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.data.data_set import Partition


def iid(labels: NDArray[np.int64], subsets: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """A uniformly random partition, (M, s): every subset has the distribution of the whole."""
    kept = len(labels) // subsets * subsets
    return generator.permutation(len(labels))[:kept].reshape(subsets, -1)


ENTRY = Partition(iid, title="i.i.d.")
