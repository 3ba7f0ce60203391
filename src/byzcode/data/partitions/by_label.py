"""Examples sorted by their labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzcode.data.partition import Partition, Parts, by_label_order, equal_sizes


def by_label(labels: NDArray[Any], groups: int, generator: np.random.Generator) -> Parts:
    """Groups with few classes each: shuffle the examples, sort them by label, and cut them into pieces.

    Examples of a regression are sorted by their targets. Sizes differ by at most one.
    """
    return Parts(by_label_order(labels, generator), equal_sizes(len(labels), groups))


ENTRY = Partition(by_label, title="sorted by label")
