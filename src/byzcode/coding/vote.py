"""The class of votes: what a server makes of the copies of files, before its rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Voted(NamedTuple):
    """A vector per file, (R, F, D), and in which runs these are known to be true, (R,) of bool; None if in none.

    The server averages vectors that are known to be true, and applies its rule to others.
    """

    vectors: Tensor
    known: Tensor | None = None


class Decide(Protocol):
    """A vote for one size: copies (R, F, c, D), and what all devices would have sent if honest, to vectors."""

    def __call__(self, copies: Tensor, honest: Tensor) -> Voted:
        """Decide on one iteration of R runs."""


def majority_of(copies: int) -> int:
    """The least number of copies that is more than half, floor(c / 2) + 1."""
    return copies // 2 + 1


@dataclass(frozen=True)
class Vote:
    """``prepare(holders, devices, f)`` returns the vote for a size: ``holders`` (F, c) are the c devices of each file.

    - ``wins(copies)`` is the number of lies among the copies of a file that may make its vector false.
    - ``pairwise``: every two devices must share a file.
    """

    prepare: Callable[[NDArray[np.int64], int, int], Decide]
    wins: Callable[[int], int] = majority_of
    pairwise: bool = False

    def files_lost(self, files: int, held: int, copies: int, f: int) -> int:
        """The most files whose vectors may be false if f devices lie, each of which holds ``held`` files.

        For groups of devices and a majority vote this is the number in DETOX's public code. ByzShield's expansion gives
        a smaller number for its allocations, which is not used here.
        """
        return min(files, f * held // self.wins(copies))


def holders_of(files: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows (F, c) with the copies of each file, if row j has a copy of ``files[j]``; c is the same for all."""
    copies = np.bincount(files)
    if (copies != copies[0]).any():
        raise ValueError("every file must be on the same number of devices")
    return files.argsort(kind="stable").reshape(len(copies), -1)


def copies_in(sent: NDArray[np.int32]) -> NDArray[np.int64]:
    """The same for the subsets (R, N l, k) behind each vector that is sent; no seed draws an allocation with files."""
    return holders_of(sent[0, :, 0].astype(np.int64) // sent.shape[-1])
