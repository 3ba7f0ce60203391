"""What an encoder is: the weights with which devices add up the gradients of their subsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Real weights, or complex ones.
Weights = NDArray[np.float64] | NDArray[np.complex128]


@dataclass(frozen=True)
class Encoder:
    """``encoder(held, subsets, **options)`` gives the weight of each held subset, (N, S), 0 in empty slots."""

    function: Callable[..., Weights]

    def __call__(self, held: NDArray[np.int32], subsets: int, **options: Any) -> Weights:
        """Weigh; see the class."""
        return self.function(held, subsets, **options)
