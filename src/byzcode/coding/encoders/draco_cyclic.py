"""The complex weights of DRACO's cyclic code (Chen et al., 1803.09877)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.coding.cyclic_code import cyclic_code
from byzcode.coding.encoder import Encoder


def draco_cyclic(assigned: NDArray[np.int32], subsets: int) -> NDArray[np.complex128]:
    """Weight W_ij / M for the subsets of task j on device i, with W the matrix of :mod:`byzcode.coding.cyclic_code`.

    ``assigned`` (N, S) is a cyclic allocation with d = N S / M odd; returns complex weights (N, S). A device sends 2 D
    numbers: the real part of its combination and then the imaginary part.
    """
    devices, slots = assigned.shape
    size = max(1, subsets // devices)
    task = assigned.astype(np.int64) // size
    place = (task - np.arange(devices)[:, None]) % devices
    length = slots // size
    if subsets % devices or length % 2 == 0 or place.max() >= length:
        raise ValueError("draco_cyclic encodes cyclic allocations with an odd number N r / M of tasks a device")
    return cyclic_code(devices, length // 2).weights(task, place) / subsets


ENTRY = Encoder(draco_cyclic, decoder="draco_cyclic", numbers=2)
