"""Allocation by Ramanujan bipartite graphs (ByzShield, Konstantinidis and Ramamoorthy 2021, 2010.04902)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.mols import subsets_of
from byzcode.allocation.scheme import Scheme
from byzcode.allocation.sizes import MOST, nearest, primes


def ramanujan(devices: int, subsets: int, redundancy: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """The array of s x m blocks P^(i j), P the cyclic shift of s elements, s a prime: rows are devices, or columns.

    Confirmed from ByzShield's public code: with m >= s, a multiple of s (its Case 2), the s^2 rows are devices and the
    m s columns files, so a device holds m files and a file is on s devices. With m < s (Case 1) the m s columns are
    devices and the s^2 rows files: a device holds s files and a file is on m devices. Two devices of one block share no
    file, others m / s in Case 2 and one in Case 1, which is the net of lines of :mod:`byzcode.allocation.mols` with
    other slopes. Files may have k subsets. The order of devices and files is that of the public code.

    Returns the assigned subsets, (N, redundancy). Nothing is random. Cost: O(N r).
    """
    prime, blocks, size = next(_fitting(devices, subsets, redundancy))
    block, place = (part[:, None] for part in np.divmod(np.arange(devices), prime))
    if devices == prime**2:  # row u of P^e has its entry in the column u - e
        across, sign = np.arange(blocks), -1
    else:
        across, sign = np.arange(prime), 1
    files = across * prime + (place + sign * block * across) % prime
    return subsets_of(files, size)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Refuse unless the sizes are those of Case 1 or Case 2 with some prime s and files of k subsets."""
    if next(_fitting(devices, subsets, redundancy), None) is not None:
        return None
    reason = "N = s^2, M = k m s, r = k m with s | m; or N = m s, M = k s^2, r = k s with m < s; s a prime"
    return f"allowed: {reason}; {nearest((devices, subsets, redundancy), _served())}"


def _fitting(devices: int, subsets: int, redundancy: int) -> Iterator[tuple[int, int, int]]:
    """The prime s, the number of blocks m and the size k of a file that fit a size. M / r is s in both cases."""
    prime, rest = divmod(subsets, max(redundancy, 1))
    if not redundancy or rest or prime not in _primes():
        return
    if devices == prime**2 and redundancy % prime == 0:
        yield prime, redundancy, 1
    if devices % prime == 0 and 0 < devices < prime**2 and redundancy % prime == 0:
        yield prime, devices // prime, redundancy // prime


@cache
def _primes() -> frozenset[int]:
    return frozenset(primes()[primes() ** 2 <= MOST].tolist())


@cache
def _served() -> NDArray[np.int64]:
    """Sizes with files of one subset: N, M and r, (K, 3)."""
    return np.array(
        [
            (blocks * prime, prime**2, prime) if blocks < prime else (prime**2, blocks * prime, blocks)
            for prime in sorted(_primes())
            for blocks in (*range(1, prime), prime, 2 * prime)
            if blocks * prime <= MOST
        ]
    )


def file(devices: int, subsets: int, redundancy: int) -> int:
    """The k subsets of a file."""
    return next(_fitting(devices, subsets, redundancy))[2]


ENTRY = Scheme(ramanujan, refuses, file=file, title="Ramanujan graph")
