"""Sizes: the orders of finite fields, and the served size that is nearest to a size that is not served."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

#: The largest number of subsets of listed designs, and the largest number of devices of cyclic difference sets.
MOST = 2**17
MOST_DEVICES = 2**13


@cache
def primes() -> NDArray[np.int64]:
    """The primes up to :data:`MOST`."""
    prime = np.ones(MOST + 1, dtype=bool)
    prime[:2] = False
    for factor in range(2, int(MOST**0.5) + 1):
        if prime[factor]:
            prime[factor**2 :: factor] = False
    return np.flatnonzero(prime)


@cache
def prime_powers() -> tuple[int, ...]:
    """The orders of finite fields whose square is at most :data:`MOST`, in ascending order."""
    most = int(MOST**0.5)
    powers = []
    for prime in primes()[primes() <= most].tolist():
        power = prime
        while power <= most:
            powers.append(power)
            power *= prime
    return tuple(sorted(powers))


def nearest(size: tuple[int, int, int], served: NDArray[np.int64]) -> str:
    """Name the size of ``served`` (K, 3) with the least sum of |log ratio| over N, M and r."""
    ratios = np.log(served) - np.log(np.maximum(size, 1))
    devices, subsets, redundancy = served[np.abs(ratios).sum(axis=1).argmin()].tolist()
    return f"nearest: N = {devices}, M = {subsets}, r = {redundancy}"


def fraction(above: int, below: int) -> str:
    """A quotient as text for a message: an integer exactly, others to six digits."""
    return f"{above // below}" if above % below == 0 else f"{above / below:.6g}"
