"""Disjoint allocation: no two devices share a subset, the uncoded baseline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.laws import Laws, certain
from byzcode.allocation.scheme import Scheme


def disjoint(devices: int, subsets: int, redundancy: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """The subsets are shuffled and dealt out, ``redundancy`` to each device.

    Returns the assigned subsets, (N, redundancy). With redundancy M / N, every subset is on exactly one device.
    """
    dealt = generator.permutation(subsets)[: devices * redundancy].reshape(devices, redundancy)
    return np.sort(dealt, axis=1).astype(np.int32)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Refuse if N r exceeds M."""
    most = subsets // devices
    return None if 1 <= redundancy <= most else f"allowed: 1 to {most} (subsets over devices), without overlap"


def laws(devices: int, subsets: int, redundancy: int) -> Laws:
    """Overlaps of 0; a subset is on one device or on none."""
    covered = devices * redundancy / subsets
    return Laws(certain(0), lambda count: {0: 1 - covered, 1: covered}.get(count, 0.0))


def spectral(devices: int, subsets: int, redundancy: int) -> float:
    """M / r, because W W' = I / r; centring subtracts 1 1' / M, which matters only for a single device."""
    return subsets / redundancy - (devices if devices == 1 else 0)


ENTRY = Scheme(disjoint, refuses, drawn=True, laws=laws, spectral=spectral)
