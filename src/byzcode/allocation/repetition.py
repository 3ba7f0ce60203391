"""Repetition allocation: groups of devices that hold the same subsets (DRACO's repetition code, 1803.09877)."""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.scheme import Scheme


def repetition(devices: int, subsets: int, redundancy: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """M / r groups, of sizes as equal as possible; the devices of a group all hold the same r subsets.

    Returns the assigned subsets, (N, redundancy). Device i is in group ``groups_of(N, M, r)[i]``.
    """
    group = groups_of(devices, subsets, redundancy)
    return (group[:, None] * redundancy + np.arange(redundancy)).astype(np.int32)


def groups_of(devices: int, subsets: int, redundancy: int) -> NDArray[np.int64]:
    """The group of each device, (N,)."""
    return np.arange(devices) * (subsets // redundancy) // devices


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Refuse unless r divides M and there are at least as many devices as groups."""
    factors = [factor for factor in range(1, isqrt(subsets) + 1) if subsets % factor == 0]
    sizes = [size for factor in factors for size in (factor, subsets // factor) if subsets // size <= devices]
    if redundancy in sizes:
        return None
    near = min(sizes, key=lambda size: (abs(size - redundancy), size))
    return f"allowed: divisors of M = {subsets} that make at most {devices} groups; nearest: {near}"


def file(devices: int, subsets: int, redundancy: int) -> int:
    """All subsets of a group."""
    return redundancy


ENTRY = Scheme(repetition, refuses, file=file)
