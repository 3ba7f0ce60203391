"""The class of encoders: the weights with which devices add up the gradients of their subsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzcode.lazy import Entry

#: Real weights, or complex ones.
Weights = NDArray[np.float64] | NDArray[np.complex128]


@dataclass(frozen=True)
class Encoder(Entry):
    """``encoder(assigned, subsets, **options)`` returns the weight of each assigned subset, (N, S), 0 in empty slots.

    A device sends ``numbers`` numbers per parameter: 2 if weights are complex. If ``decoder`` is not empty, only the
    decoder of that name can read the messages.
    """

    function: Callable[..., Weights]
    decoder: str = ""
    numbers: int = 1

    def __call__(self, assigned: NDArray[np.int32], subsets: int, **options: Any) -> Weights:
        """Weigh; see the class."""
        return self.function(assigned, subsets, **options)
