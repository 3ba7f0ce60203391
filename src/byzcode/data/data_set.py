"""What a data set is made of, and what a partition does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.lazy import Entry


class Examples(NamedTuple):
    """Features (n, d) and classes (n,), numbered from 0."""

    features: NDArray[np.float64]
    labels: NDArray[np.int64]


class Split(NamedTuple):
    """The examples to learn from, and those to test on."""

    training: Examples
    test: Examples


@dataclass(frozen=True)
class DataSet(Entry):
    """The table entry of a data set: its sizes are known before it is loaded."""

    function: Callable[[], Split]
    training: int = field(kw_only=True)
    test: int = field(kw_only=True)
    features: int = field(kw_only=True)
    classes: int = field(kw_only=True)

    def load(self) -> Split:
        """Its examples, the same every time. Not to be changed."""
        return self.function()


@dataclass(frozen=True)
class Partition(Entry):
    """``partition(labels, subsets, generator)`` divides examples by their labels (n,) into subsets: (M, s) places."""

    function: Callable[[NDArray[np.int64], int, np.random.Generator], NDArray[np.int64]]

    def __call__(self, labels: NDArray[np.int64], subsets: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Divide; see the class."""
        return self.function(labels, subsets, generator)
