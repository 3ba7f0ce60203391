"""Replication-corrected weights, as in stochastic gradient coding (Bitar et al., 1905.05383)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.scheme import EMPTY
from byzcode.allocation.statistics import replications
from byzcode.coding.encoder import Encoder


def replication(assigned: NDArray[np.int32], subsets: int) -> NDArray[np.float64]:
    """The gradient of a subset on c devices has weight N / (M c) on each of them.

    ``assigned`` (N, S); returns weights (N, S), 0 in empty slots. The mean over all devices is then exactly the
    gradient of the subsets that are on some device (SGC's sum over devices of grad f_k / c_k, in the mean convention).
    """
    copies = replications(assigned, subsets)
    weight = len(assigned) / (subsets * np.maximum(copies, 1))
    return np.where(assigned == EMPTY, 0.0, weight[assigned])


ENTRY = Encoder(replication, title="replication-corrected")
