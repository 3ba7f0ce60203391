"""Measures of the balance of an allocation: overlaps of pairs of devices, replications of subsets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.scheme import EMPTY


def incidence(assigned: NDArray[np.int32], subsets: int) -> NDArray[np.bool_]:
    """The matrix S of the papers, (N, M): True where a device holds a subset."""
    holds = np.zeros((len(assigned), subsets), dtype=bool)
    device, slot = np.nonzero(assigned != EMPTY)
    holds[device, assigned[device, slot]] = True
    return holds


def replications(assigned: NDArray[np.int32], subsets: int) -> NDArray[np.int32]:
    """The number of devices that hold each subset, (M,)."""
    return np.bincount(assigned[assigned != EMPTY], minlength=subsets).astype(np.int32)


def overlaps(assigned: NDArray[np.int32], subsets: int) -> NDArray[np.int32]:
    """The number of subsets that each pair of devices shares, (N (N - 1) / 2,)."""
    holds = incidence(assigned, subsets).astype(np.float32)  # exact, because counts stay below 2^24, and fast by BLAS
    shared = holds @ holds.T
    return shared[np.triu_indices(len(assigned), k=1)].astype(np.int32)
