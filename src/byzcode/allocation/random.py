"""Random allocation: CRA-DL samples its pairwise balanced allocation in this way (2506.01989, a stated limitation)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from byzcode.allocation.laws import Laws, binomial, certain, hypergeometric
from byzcode.allocation.scheme import Scheme, from_matrix

#: The most random numbers that are drawn at a time, unless a row needs more.
_BLOCK = 2**20

Side = Annotated[
    Literal["device", "subset"],
    Field(
        description=(
            "Who draws: each device its r subsets (r is then exact, the expected overlap is exactly r^2/M), or each "
            "subset its round(N r / M) devices (the replication is then exact)."
        )
    ),
]


def random(
    devices: int, subsets: int, redundancy: int, generator: np.random.Generator, *, side: Side = "device"
) -> NDArray[np.int32]:
    """Each device draws ``redundancy`` subsets without replacement (or each subset draws its devices).

    Returns the assigned subsets, (N, S). If devices draw, the overlap of two devices has mean r^2 / M. Replications are
    then uneven, binomial with mean N r / M, and a subset is on no device with probability (1 - r/M)^N.
    """
    if side == "device":
        return _drawn(devices, subsets, redundancy, generator)
    copies = _copies(devices, subsets, redundancy)
    holds = np.zeros((devices, subsets), dtype=bool)
    holds[_drawn(subsets, devices, copies, generator), np.arange(subsets)[:, None]] = True
    return from_matrix(holds)


def _drawn(rows: int, numbers: int, chosen: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """For each row, draw ``numbers`` random numbers and return the places of the ``chosen`` least, in ascending order.

    Of equal numbers, the first are taken, as by a stable sort. Cost: memory for a block of numbers, and linear time.
    """
    drawn = np.empty((rows, chosen), dtype=np.int32)
    together = max(1, _BLOCK // numbers)
    for first in range(0, rows, together):
        block = generator.random((min(together, rows - first), numbers))
        edge = np.partition(block, chosen - 1, axis=1)[:, chosen - 1, None]
        least = block <= edge
        if least.sum() > len(block) * chosen:  # some numbers are equal to the edge
            places = np.sort(block.argsort(axis=1, kind="stable")[:, :chosen], axis=1)
        else:
            places = least.nonzero()[1].reshape(len(block), chosen)
        drawn[first : first + len(block)] = places
    return drawn


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Refuse only a redundancy above the number of subsets, or below 1."""
    return None if 1 <= redundancy <= subsets else f"allowed: 1 to {subsets} (the number of subsets)"


def exact(side: Side) -> bool:
    """Whether each device holds exactly r subsets."""
    return side == "device"


def laws(devices: int, subsets: int, redundancy: int, *, side: Side) -> Laws:
    """Hypergeometric overlaps if devices draw their subsets, binomial overlaps if subsets draw their devices."""
    if side == "device":
        return Laws(hypergeometric(subsets, redundancy), binomial(devices, redundancy / subsets))
    copies = _copies(devices, subsets, redundancy)
    both = copies * (copies - 1) / max(1, devices * (devices - 1))
    return Laws(binomial(subsets, both), certain(copies))


def _copies(devices: int, subsets: int, redundancy: int) -> int:
    """The number of devices that each subset draws."""
    return max(1, round(devices * redundancy / subsets))


ENTRY = Scheme(random, refuses, exact, drawn=True, laws=laws)
