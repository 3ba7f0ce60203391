"""Real columns as the examples of a regression: shuffled, split and standardised."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzcode.data.data_set import Examples, Split
from byzcode.randomness import Stream


def split(name: str, columns: NDArray[np.float64], training: int) -> Split:
    """The examples of a set, of columns (n, d + 1) whose last one is the target.

    A fixed permutation, the same for all seeds, chooses the training examples. Features and target are standardised by
    these, with correctly rounded means, so that they are the same on every machine.
    """
    columns = columns[Stream(0, f"{name}/split").at(0).permutation(len(columns))]
    columns = (columns - (means := _means(columns[:training]))) / np.sqrt(_means((columns[:training] - means) ** 2))
    columns.flags.writeable = False
    return Split(_examples(columns[:training]), _examples(columns[training:]))


def _means(columns: NDArray[np.float64]) -> NDArray[Any]:
    """The means of columns (n, d), correctly rounded."""
    return np.array([math.fsum(column) / len(columns) for column in columns.T.tolist()])


def _examples(columns: NDArray[np.float64]) -> Examples:
    return Examples(columns[:, :-1], columns[:, -1])
