"""The class of allocations: ways to assign subsets to devices, with the sizes that they support."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.laws import Laws
from byzcode.lazy import Entry

#: Marks an empty slot in a list of assigned subsets.
EMPTY = -1


def _always(**options: Any) -> bool:
    return True


@dataclass(frozen=True)
class Scheme(Entry):
    """``scheme(devices, subsets, redundancy, generator, **options)`` returns the subsets of each device, (N, S).

    Rows are sorted subset numbers, filled with :data:`EMPTY` if a device holds fewer than S.

    - ``refuses(devices, subsets, redundancy)`` says why a size is not supported, or returns None.
    - ``exact(**options)``: whether each device holds exactly ``redundancy`` subsets.
    - ``pairwise``: every two devices share the same number of subsets.
    - ``drawn``: subsets are drawn at random, so that all are alike before the draw.
    - ``laws(devices, subsets, redundancy, **options)``: the laws of overlaps and replications, if they are known.
    - ``spectral(devices, subsets, redundancy)``: M ||W - 1 1' / M||_2^2 for the weights W = 1/r, if there is a closed
      form: M times the squared largest singular value of the centred weights.
    - ``file(devices, subsets, redundancy)``: how many consecutive subsets make a file, if nothing is drawn, each file
      is on the same devices as a whole, and all files on equally many: a server may then vote on the copies of a file.
    """

    function: Callable[..., NDArray[np.int32]]
    refuses: Callable[[int, int, int], str | None]
    exact: Callable[..., bool] = _always
    pairwise: bool = False
    drawn: bool = False
    laws: Callable[..., Laws] | None = None
    spectral: Callable[[int, int, int], float] | None = None
    file: Callable[[int, int, int], int] | None = None

    def __call__(
        self, devices: int, subsets: int, redundancy: int, generator: np.random.Generator, **options: Any
    ) -> NDArray[np.int32]:
        """Draw; see the class."""
        reason = self.refuses(devices, subsets, redundancy)
        if reason is not None:
            raise ValueError(f"{self.function.__name__} allocation, redundancy {redundancy}: {reason}")
        return self.function(devices, subsets, redundancy, generator, **options)


def single(devices: int, subsets: int, redundancy: int) -> int:
    """Files of one subset."""
    return 1


def from_matrix(holds: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The lists (N, S) of an incidence matrix (N, M), with S the most subsets that a device holds."""
    most = int(holds.sum(axis=1).max(initial=0))
    assigned = np.full((len(holds), max(most, 1)), EMPTY, dtype=np.int32)
    for device, row in enumerate(holds):
        subsets = np.flatnonzero(row)
        assigned[device, : len(subsets)] = subsets
    return assigned
