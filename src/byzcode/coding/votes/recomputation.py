"""The server settles a disagreement by itself, so s + 1 copies are enough against s liars (Hofmeister et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from byzcode.coding.agreement import agreements, most_frequent, near, without
from byzcode.coding.vote import Decide, Vote, Voted

if TYPE_CHECKING:
    from torch import Tensor


def prepare(holders: NDArray[np.int64], devices: int, f: int) -> Decide:
    """The true vector of each file with an honest copy, (R, F, c, D) to (R, F, D). Cost: F c^2 D.

    Confirmed from the abstract of 2401.02380: replication s + 1 instead of 2 s + 1 for s liars; erroneous inputs are
    detected and erased; this takes at most s gradients computed at the server, and more rounds of light communication.
    How these rounds go is not modelled: if the copies of a file differ, those that differ from the truth are erased.
    The truth is what its holders would have sent if honest, which the server is taken to have found by computing at
    most one gradient per liar. These gradients and rounds are not counted. If all copies of a file are the same lie,
    nothing shows it; if they are different lies, the file is left out of the mean (ours).
    """

    def decide(copies: Tensor, honest: Tensor) -> Voted:
        agree = agreements(copies)
        disputed = ~agree.all(dim=-1, keepdim=True).all(dim=-2)
        return Voted(without(*most_frequent(copies, agree, near(copies, honest) | ~disputed)))

    return decide


def wins(copies: int) -> int:
    """Only if all copies are lies."""
    return copies


ENTRY = Vote(prepare, wins)
