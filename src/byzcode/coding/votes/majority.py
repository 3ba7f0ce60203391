"""A vote per file: the vector that most copies show (DETOX, Rajput et al. 2019, 1907.12205; ByzShield, 2010.04902)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from byzcode.coding.agreement import agreements, most_frequent
from byzcode.coding.vote import Decide, Vote, Voted

if TYPE_CHECKING:
    from torch import Tensor


def prepare(holders: NDArray[np.int64], devices: int, f: int) -> Decide:
    """The vector of each file on which most of its copies agree, (R, F, c, D) to (R, F, D). Cost: F c^2 D.

    Confirmed from the public code of both: the copies of each file are put to a majority vote (there by Boyer and
    Moore's algorithm, in ByzShield's later code with a tolerance), and an aggregation rule follows. The two algorithms
    give the same wherever more than half of the copies agree. Where none do, that code takes a copy that depends on the
    order of the devices; here the largest group of equal copies wins, which is ours.
    """

    def decide(copies: Tensor, honest: Tensor) -> Voted:
        return Voted(most_frequent(copies, agreements(copies))[0])

    return decide


ENTRY = Vote(prepare)
