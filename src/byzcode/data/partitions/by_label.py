"""Examples sorted by their labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.data.data_set import Partition


def by_label(labels: NDArray[np.int64], subsets: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Subsets with few classes each, (M, s): shuffle the examples, sort them by label, and cut them into M pieces.

    If M does not divide the number of examples, the examples left out are random, whatever their class.
    """
    kept = generator.permutation(len(labels))[: len(labels) // subsets * subsets]
    return kept[labels[kept].argsort(kind="stable")].reshape(subsets, -1)


ENTRY = Partition(by_label, title="sorted by label")
