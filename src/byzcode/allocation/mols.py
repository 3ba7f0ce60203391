"""Allocation by mutually orthogonal Latin squares (ByzShield, Konstantinidis and Ramamoorthy 2021, 2010.04902)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.field import field
from byzcode.allocation.scheme import Scheme
from byzcode.allocation.sizes import MOST, fraction, nearest, prime_powers


def mols(devices: int, subsets: int, redundancy: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Files are the cells of a q x q square; a device holds the cells at which one Latin square has one symbol.

    The c squares are L_a(i, j) = a i + j over GF(q), a = 1, ..., c < q. So N = c q devices hold q files each, a file
    is on c devices, one per square, and two devices share one file, or none if they have the same square. With files
    of k subsets, M = k q^2 and r = k q. ByzShield's public code has these squares for prime q, with devices and files
    in this order. That prime powers do as well is textbook knowledge.

    Returns the assigned subsets, (N, redundancy). Nothing is random. Cost: O(N r).
    """
    order, size = subsets // redundancy, redundancy**2 // subsets
    plus, times = field(order)
    row, column, symbol = np.arange(order), np.arange(order), np.arange(order)
    minus = plus.argsort(axis=1)  # minus[x, y] = y - x
    # The cell of row i with the symbol s is in the column j = s - a i.
    files = [
        row * order + column[minus[times[square % order, row], symbol[:, None]]]
        for square in range(1, devices // order + 1)
    ]
    return subsets_of(np.concatenate(files), size)


def subsets_of(files: NDArray[np.int64], size: int) -> NDArray[np.int32]:
    """The subsets (N, l k) of files (N, l) in ascending order, if each file has k consecutive subsets."""
    held = np.sort(files, axis=1)[..., None] * size + np.arange(size)
    return held.reshape(len(files), -1).astype(np.int32)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Refuse unless q = M / r is a prime power, r a multiple of q, and N = c q with c < q."""
    if (reason := _reason(devices, subsets, redundancy)) is None:
        return None
    return f"{reason}; {nearest((devices, subsets, redundancy), _served())}"


def _reason(devices: int, subsets: int, redundancy: int) -> str | None:
    if not redundancy or subsets % redundancy or subsets // redundancy not in prime_powers():
        return f"M / r = {fraction(subsets, max(redundancy, 1))} must be a prime power q"
    order = subsets // redundancy
    if redundancy % order:
        return f"r = {redundancy} must be a multiple of q = M / r = {order}"
    if devices % order or not order <= devices < order**2:
        return f"N = {devices} must be c q with c < q = M / r = {order}"
    return None


@cache
def _served() -> NDArray[np.int64]:
    """Sizes with files of one subset, and of q subsets: N, M and r, (K, 3)."""
    return np.array(
        [
            (copies * order, order**2 * size, order * size)
            for order in prime_powers()
            for size in (1, order)
            if order**2 * size <= MOST
            for copies in range(1, order)
        ]
    )


def file(devices: int, subsets: int, redundancy: int) -> int:
    """The subsets of a cell: k = r^2 / M."""
    return redundancy**2 // subsets


ENTRY = Scheme(mols, refuses, file=file, title="Latin squares")
