"""Random allocation: how CRA-DL samples its pairwise balanced allocation (2506.01989, its stated limitation)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from byzcode.allocation.scheme import from_matrix

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
        ranks = generator.random((devices, subsets)).argsort(axis=1, kind="stable")
        return np.sort(ranks[:, :redundancy], axis=1).astype(np.int32)
    copies = max(1, round(devices * redundancy / subsets))
    ranks = generator.random((subsets, devices)).argsort(axis=1, kind="stable")
    holds = np.zeros((devices, subsets), dtype=bool)
    holds[ranks[:, :copies], np.arange(subsets)[:, None]] = True
    return from_matrix(holds)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Any redundancy up to the number of subsets is served."""
    return None if 1 <= redundancy <= subsets else f"allowed: 1 to {subsets} (the number of subsets)"


def exact(side: Side) -> bool:
    """Whether each device holds exactly r subsets."""
    return side == "device"
