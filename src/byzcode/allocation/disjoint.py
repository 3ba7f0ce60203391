"""Disjoint allocation: no two devices share a subset, the uncoded baseline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.scheme import Scheme


def disjoint(devices: int, subsets: int, redundancy: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """The subsets are shuffled and dealt out, ``redundancy`` to each device.

    Returns the held subsets, (N, redundancy). With redundancy M / N every subset is on one device.
    """
    dealt = generator.permutation(subsets)[: devices * redundancy].reshape(devices, redundancy)
    return np.sort(dealt, axis=1).astype(np.int32)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """N r may not exceed M."""
    most = subsets // devices
    return None if 1 <= redundancy <= most else f"allowed: 1 to {most} (subsets over devices), without overlap"


ENTRY = Scheme(disjoint, refuses)
