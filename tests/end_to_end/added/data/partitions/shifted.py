"""Examples dealt out in turn, in an order that begins at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzcode.data.partition import Partition, Parts


def shifted(labels: NDArray[Any], groups: int, generator: np.random.Generator) -> Parts:
    """Every G-th example."""
    order = np.roll(np.arange(len(labels)), generator.integers(len(labels)))
    own = [order[first::groups] for first in range(groups)]
    return Parts(np.concatenate(own), np.array([len(each) for each in own]))


ENTRY = Partition(shifted)
