"""Linear orthogonal array: every two devices share exactly r^2 / M subsets, as CRA-DL requires (2506.01989)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.field import directions, values
from byzcode.allocation.laws import Laws, binomial, certain
from byzcode.allocation.scheme import Scheme
from byzcode.allocation.sizes import MOST, fraction, nearest, prime_powers


def orthogonal_array(devices: int, subsets: int, redundancy: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Subsets are the vectors of GF(q)^m; a device holds those at which its linear functional has one of j values.

    Two functionals that are not multiples of each other take each pair of values equally often (Rao 1947). So with
    M = q^m, the redundancy is r = j M / q and every overlap is j^2 M / q^2 = r^2 / M. There are (M - 1)/(q - 1) such
    functionals, the points of PG(m - 1, q). The allocation draws N of them, and j values for each. The replication of
    a subset is then binomial with N trials of probability r / M; over all subsets of any draw, its variance is
    N r (1 - r/M) / M.

    Returns the assigned subsets, (N, redundancy). Cost: O(m N M).
    """
    order, dimension = next(_fitting(devices, subsets, redundancy))
    functionals = generator.permutation(directions(order, dimension))[:devices]
    chosen = generator.random((devices, order)).argsort(axis=1, kind="stable") < redundancy * order // subsets
    holds = np.take_along_axis(chosen, values(order, dimension, functionals), axis=1)
    return holds.nonzero()[1].reshape(devices, redundancy).astype(np.int32)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Refuse unless M = q^m with m > 1 and a prime power q, r = j M / q with j < q, and N <= (M - 1)/(q - 1)."""
    if next(_fitting(devices, subsets, redundancy), None) is not None:
        return None
    return f"{_reason(devices, subsets, redundancy)}; {_nearest(devices, subsets, redundancy)}"


def _fitting(devices: int, subsets: int, redundancy: int) -> Iterator[tuple[int, int]]:
    """All q and m that serve a size."""
    for order, dimension in _spaces(subsets):
        divides = redundancy * order % subsets == 0
        if divides and 0 < redundancy < subsets and devices <= (subsets - 1) // (order - 1):
            yield order, dimension


def _spaces(subsets: int) -> list[tuple[int, int]]:
    """All q and m > 1 with q^m = M, in ascending order of q."""
    dimensions = range(2, subsets.bit_length())
    return [(order, m) for order in prime_powers() for m in dimensions if order**m == subsets <= MOST]


def _reason(devices: int, subsets: int, redundancy: int) -> str:
    if not 0 < redundancy < subsets:
        return f"r = {redundancy}: a device must hold some of the M = {subsets} subsets, not all"
    if redundancy**2 % subsets:
        return f"r^2/M = {fraction(redundancy**2, subsets)} is not an integer"
    if devices >= subsets:
        return f"N = {devices} exceeds M - 1 = {subsets - 1}, the most that can share r^2/M in pairs"
    orders = [order for order, _ in _spaces(subsets)]
    if not orders:
        return f"M = {subsets} is not a power q^m of a prime power q with m > 1 (up to {MOST})"
    fine = [order for order in orders if redundancy * order % subsets == 0]
    if not fine:
        return f"r = {redundancy} is not a multiple of M/q = {subsets // orders[-1]}"
    return f"N = {devices} exceeds (M - 1)/(q - 1) = {(subsets - 1) // (fine[0] - 1)} with q = {fine[0]}"


def _nearest(devices: int, subsets: int, redundancy: int) -> str:
    """Name the nearest served size, with all N devices if some M and r allow that many."""
    served = _served()
    kept = served[served[:, 0] >= devices]
    if len(kept):
        served = np.minimum(kept, [max(devices, 1), MOST, MOST])
    return nearest((devices, subsets, redundancy), served)


@cache
def _served() -> NDArray[np.int64]:
    """The largest N for each served M and r, as N, M and r, (K, 3)."""
    return np.array(
        [
            ((order**m - 1) // (order - 1), order**m, levels * order ** (m - 1))
            for order in prime_powers()
            for m in range(2, MOST.bit_length())
            if order**m <= MOST
            for levels in range(1, order)
        ]
    )


def laws(devices: int, subsets: int, redundancy: int) -> Laws:
    """Overlaps of exactly r^2 / M, and binomial replications."""
    return Laws(certain(redundancy**2 // subsets), binomial(devices, redundancy / subsets))


ENTRY = Scheme(orthogonal_array, refuses, pairwise=True, laws=laws)
