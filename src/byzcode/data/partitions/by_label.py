"""Examples sorted by their labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from byzcode.data.data_set import Partition


def by_label(labels: NDArray[np.int64], subsets: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Subsets of as few classes as possible, (M, s): random among equal labels, then sorted and cut into M pieces.

    The examples that are left out where M does not divide their number are random ones of any class.
    """
    kept = generator.permutation(len(labels))[: len(labels) // subsets * subsets]
    return kept[labels[kept].argsort(kind="stable")].reshape(subsets, -1)


ENTRY = Partition(by_label, title="sorted by label")
