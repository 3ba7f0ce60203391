"""Examples divided at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzcode.data.partition import Partition, Parts, equal_sizes


def iid(labels: NDArray[Any], groups: int, generator: np.random.Generator) -> Parts:
    """A uniformly random partition: every group has the distribution of all examples. Sizes differ by at most one."""
    return Parts(generator.permutation(len(labels)), equal_sizes(len(labels), groups))


ENTRY = Partition(iid, title="i.i.d.")
