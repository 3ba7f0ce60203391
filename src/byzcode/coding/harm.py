"""The devices that win many votes, for liars who know who holds which files, as ByzShield has them (2010.04902)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: How many times more a copy counts than one less of the same file, while the file is not won.
STEEP = 8.0


def most_harmful(holders: NDArray[np.int64], devices: int, f: int, wins: int) -> NDArray[np.int64]:
    """All devices, (N,); the first f of them hold ``wins`` copies of many of the files with ``holders`` (F, c).

    Greedy: each device adds most to files that are nearly won. Then devices are exchanged, one by one, while this wins
    more files. A test compares the numbers of files with the maxima that ByzShield's public code lists for three sizes:
    at most two files are missing. Cost: f (N - f) F for each exchange.
    """
    holds = np.zeros((devices, len(holders)), dtype=np.int64)
    holds[holders, np.arange(len(holders))[:, None]] = 1
    worth = STEEP ** np.arange(wins + 1)
    chosen = np.zeros(devices, dtype=bool)
    for _ in range(f):
        after = worth[np.minimum(holds[chosen].sum(axis=0) + holds, wins)].sum(axis=1)
        chosen[np.where(chosen, -1.0, after).argmax()] = True
    while (swap := _better(holds, chosen, wins)) is not None:
        chosen[list(swap)] = False, True
    return np.concatenate([np.flatnonzero(chosen), np.flatnonzero(~chosen)])


def _better(holds: NDArray[np.int64], chosen: NDArray[np.bool_], wins: int) -> tuple[int, int] | None:
    """A chosen device and another, such that the exchange wins most files, if it wins more than before."""
    bad, others = holds[chosen].sum(axis=0), np.flatnonzero(~chosen)
    best, most = None, int((bad >= wins).sum())
    for device in np.flatnonzero(chosen):
        won = (bad - holds[device] + holds[others] >= wins).sum(axis=1)
        if len(others) and won.max() > most:
            best, most = (int(device), int(others[won.argmax()])), int(won.max())
    return best
