"""Cyclic allocation: the task matrix of cyclic gradient coding (LAD, 2603.28780; DRACO, 1803.09877)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.scheme import Scheme


def cyclic(devices: int, subsets: int, redundancy: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Device i holds the tasks i, i + 1, ..., i + d - 1 (mod N); the subsets are divided into N tasks, in order.

    Returns the assigned subsets, (N, redundancy), with redundancy = d M / N. Every subset is on d devices, so the mean
    of all coded gradients with weights 1/r is the gradient. In LAD, M = N, and the labels are redrawn at each
    iteration.
    """
    size = subsets // devices
    tasks = (np.arange(devices)[:, None] + np.arange(redundancy // size)) % devices
    assigned = tasks[..., None] * size + np.arange(size)
    return np.sort(assigned.reshape(devices, redundancy), axis=1).astype(np.int32)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Refuse unless N divides M and M / N divides r."""
    if subsets % devices:
        lower = subsets // devices * devices
        near = f"{lower} or {lower + devices}" if lower else f"{devices}"
        return f"the number of subsets must be a multiple of the {devices} devices, as {near}; got {subsets}"
    size = subsets // devices
    if redundancy % size or not size <= redundancy <= subsets:
        nearest = min(max(size, round(redundancy / size) * size), subsets)
        return f"allowed: multiples of M / N = {size} up to {subsets}; nearest: {nearest}"
    return None


def spectral(devices: int, subsets: int, redundancy: int) -> float:
    """With windows of d = N r / M tasks, W W' is circulant, with eigenvalues |sum_j<d exp(2 pi i j k / N)|^2."""
    tasks = redundancy * devices // subsets
    if tasks == devices:  # all devices hold all subsets
        return 0.0
    angle = np.pi * np.arange(1, devices) / devices
    largest = np.square(np.sin(tasks * angle) / np.sin(angle)).max(initial=0.0)
    return float(devices / tasks**2 * largest)


def file(devices: int, subsets: int, redundancy: int) -> int:
    """The subsets of a task."""
    return subsets // devices


ENTRY = Scheme(cyclic, refuses, spectral=spectral, file=file)
