"""The types of data sets."""

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
    """The training examples and the test examples."""

    training: Examples
    test: Examples


@dataclass(frozen=True)
class DataSet(Entry):
    """The table entry of a data set, with its sizes, which are needed before the data are loaded."""

    function: Callable[[], Split]
    training: int = field(kw_only=True)
    test: int = field(kw_only=True)
    features: int = field(kw_only=True)
    classes: int = field(kw_only=True)

    def load(self) -> Split:
        """Return the examples, the same at every call. Callers must not change the arrays."""
        return self.function()
