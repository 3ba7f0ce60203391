"""Sliding windows: any redundancy, on a circle of subsets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.scheme import Scheme


def example(
    devices: int,
    subsets: int,
    redundancy: int,
    generator: np.random.Generator,
) -> NDArray[np.int32]:
    """Device i holds ``redundancy`` consecutive subsets, from the (i M / N)-th on. Returns them, (N, r)."""
    first = np.arange(devices) * subsets // devices
    return np.sort((first[:, None] + np.arange(redundancy)) % subsets, axis=1).astype(np.int32)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Any redundancy up to the number of subsets is served."""
    return None if 1 <= redundancy <= subsets else f"allowed: 1 to {subsets} (the number of subsets)"


ENTRY = Scheme(example, refuses, title="example")
