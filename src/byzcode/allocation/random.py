"""Random allocation: how CRA-DL samples its pairwise balanced allocation (2506.01989, its stated limitation)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from byzcode.allocation.laws import Laws, binomial, certain, hypergeometric
from byzcode.allocation.scheme import Scheme, from_matrix

#: So many random numbers are drawn at a time, or those of one row.
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

    Returns the held subsets, (N, S). Overlaps of two devices have mean r^2 / M. Replications are uneven under device
    side, about binomial with mean N r / M; a subset is on no device with probability (1 - r/M)^N.
    """
    if side == "device":
        return _drawn(devices, subsets, redundancy, generator)
    copies = _copies(devices, subsets, redundancy)
    holds = np.zeros((devices, subsets), dtype=bool)
    holds[_drawn(subsets, devices, copies, generator), np.arange(subsets)[:, None]] = True
    return from_matrix(holds)


def _drawn(rows: int, numbers: int, chosen: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """For each row the places of the ``chosen`` least of so many random numbers, in ascending order.

    Of equal numbers the first are taken, as a stable sort does. Cost: one number of memory for each of a block's, and
    linear time.
    """
    drawn = np.empty((rows, chosen), dtype=np.int32)
    together = max(1, _BLOCK // numbers)
    for first in range(0, rows, together):
        block = generator.random((min(together, rows - first), numbers))
        edge = np.partition(block, chosen - 1, axis=1)[:, chosen - 1, None]
        least = block <= edge
        if least.sum() > len(block) * chosen:  # some are equal to the edge
            places = np.sort(block.argsort(axis=1, kind="stable")[:, :chosen], axis=1)
        else:
            places = least.nonzero()[1].reshape(len(block), chosen)
        drawn[first : first + len(block)] = places
    return drawn


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Any redundancy up to the number of subsets is served."""
    return None if 1 <= redundancy <= subsets else f"allowed: 1 to {subsets} (the number of subsets)"


def exact(side: Side) -> bool:
    """Whether each device holds exactly r subsets."""
    return side == "device"


def laws(devices: int, subsets: int, redundancy: int, *, side: Side) -> Laws:
    """Hypergeometric overlaps of lists that devices draw, binomial ones where subsets draw their devices."""
    if side == "device":
        return Laws(hypergeometric(subsets, redundancy), binomial(devices, redundancy / subsets))
    copies = _copies(devices, subsets, redundancy)
    both = copies * (copies - 1) / max(1, devices * (devices - 1))
    return Laws(binomial(subsets, both), certain(copies))


def _copies(devices: int, subsets: int, redundancy: int) -> int:
    """How many devices each subset draws."""
    return max(1, round(devices * redundancy / subsets))


ENTRY = Scheme(random, refuses, exact, drawn=True, laws=laws)
