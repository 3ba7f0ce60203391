"""Cyclic difference sets instead of the window of cyclic gradient coding (LAD, 2603.28780)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from math import isqrt
from operator import mul

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.field import recurrence
from byzcode.allocation.laws import of_design
from byzcode.allocation.scheme import Scheme, single
from byzcode.allocation.sizes import MOST_DEVICES, fraction, nearest, prime_powers, primes

Set = NDArray[np.int64]


def difference_set(devices: int, subsets: int, redundancy: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Device i holds the subsets i + D (mod N), where every number except 0 is equally often a difference within D.

    Every two devices share lambda = r (r - 1)/(N - 1) subsets, and every two subsets are together on lambda devices.
    Therefore the mean of |g_i - grad F|^2 over all N devices is betahat^2 (N - r)/(r (N - 1)) for any gradients; a
    window reaches this only on average over labels. D is a set of Singer (1938), of quadratic or quartic residues or of
    twin primes, or the complement of such a set in Z_N.

    Returns the assigned subsets, (N, redundancy); M = N. Nothing is random. Cost: O(N r).
    """
    chosen = cyclic_sets()[devices, redundancy]()
    return np.sort((np.arange(devices)[:, None] + chosen) % devices, axis=1).astype(np.int32)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Refuse unless M = N and a cyclic (N, r, lambda) difference set is known here."""
    if devices == subsets and (devices, redundancy) in cyclic_sets():
        return None
    return f"{_reason(devices, subsets, redundancy)}; {nearest((devices, subsets, redundancy), _served())}"


@cache
def cyclic_sets() -> dict[tuple[int, int], Callable[[], Set]]:
    """Functions that make D, for every known N up to :data:`MOST_DEVICES` and r; complements included."""
    sets: dict[tuple[int, int], Callable[[], Set]] = {}
    for modulus, size, make in (*_residues(), *_twin_primes(), *_singer()):
        sets.setdefault((modulus, size), make)
        sets.setdefault((modulus, modulus - size), partial(_complement, modulus, make))
    return sets


def impossible(points: int, size: int, pairs: int) -> str | None:
    """The theorem by which there is no symmetric 2-(points, size, pairs) design, or None if none here applies."""
    order = size - pairs
    if points % 2 == 0 and isqrt(order) ** 2 != order:
        return f"no such design: N = M is even, and r - lambda = {order} is not a square (Bruck, Ryser, Chowla)"
    squares = {x**2 for x in range(isqrt(order) + 1)}
    if pairs == 1 and order % 4 in (1, 2) and not any(order - square in squares for square in squares):
        return f"no plane of order {order} exists (Bruck, Ryser)"
    if pairs == 1 and order == 10:
        return "no plane of order 10 exists (Lam, Thiel, Swiercz)"
    return None


def _singer() -> Iterator[tuple[int, int, Callable[[], Set]]]:
    """Hyperplanes of PG(m, q): N = (q^(m + 1) - 1)/(q - 1), r = (q^m - 1)/(q - 1)."""
    for order in prime_powers():
        dimension, size, points = 2, order + 1, order**2 + order + 1
        while points <= MOST_DEVICES:
            yield points, size, partial(singer, order, dimension)
            dimension, size, points = dimension + 1, points, points * order + 1


def singer(order: int, dimension: int) -> Set:
    """The powers x^i of a primitive x of GF(q^(m + 1)), up to factors of GF(q), in a hyperplane over GF(q).

    A linear recurrence s_i that x solves is a functional of x^i over GF(p). With q = p^e, it vanishes on a line over
    GF(q) if it vanishes at e successive points: x^i, x^(i + N), ..., x^(i + (e - 1) N).
    """
    points = (order ** (dimension + 1) - 1) // (order - 1)
    prime, coefficients = recurrence(order ** (dimension + 1))
    degree = len(coefficients)
    rows = degree // (dimension + 1)
    sequence = [0] * (degree - 1) + [1]
    while len(sequence) < rows * points:
        sequence.append(sum(map(mul, coefficients, sequence[-degree:])) % prime)
    return np.flatnonzero((np.reshape(sequence[: rows * points], (rows, points)) == 0).all(axis=0))


def _residues() -> Iterator[tuple[int, int, Callable[[], Set]]]:
    """Squares for N = 4t + 3; fourth powers for N = 4a^2 + 1, and with 0 for N = 4a^2 + 9, a odd. N is prime."""
    known = primes()
    for prime in known[(known > 5) & (known <= MOST_DEVICES)].tolist():
        if prime % 4 == 3:
            yield prime, prime // 2, partial(_powers, prime, 2, ())
        elif _odd_square(prime - 1):
            yield prime, prime // 4, partial(_powers, prime, 4, ())
        elif _odd_square(prime - 9):
            yield prime, prime // 4 + 1, partial(_powers, prime, 4, (0,))


def _odd_square(number: int) -> bool:
    """Whether a number is 4a^2 with an odd a."""
    root = isqrt(max(number, 0) // 4)
    return number == 4 * root**2 and root % 2 == 1


def _powers(prime: int, exponent: int, more: tuple[int, ...]) -> Set:
    squares = np.arange(1, prime) ** 2 % prime
    return np.union1d(squares if exponent == 2 else squares**2 % prime, more).astype(np.int64)


def _twin_primes() -> Iterator[tuple[int, int, Callable[[], Set]]]:
    """N = p (p + 2): numbers that are squares modulo both primes or modulo neither, and multiples of p + 2."""
    known = primes()[1:]
    for prime in known[np.isin(known + 2, known) & (known * (known + 2) <= MOST_DEVICES)].tolist():
        yield prime * (prime + 2), (prime * (prime + 2) - 1) // 2, partial(_of_twins, prime)


def _of_twins(prime: int) -> Set:
    numbers = np.arange(prime * (prime + 2))
    square, other = (np.isin(numbers % p, _powers(p, 2, ())) for p in (prime, prime + 2))
    units = (numbers % prime > 0) & (numbers % (prime + 2) > 0)
    return np.flatnonzero((units & (square == other)) | (numbers % (prime + 2) == 0))


def _complement(modulus: int, make: Callable[[], Set]) -> Set:
    return np.setdiff1d(np.arange(modulus), make())


def _reason(devices: int, subsets: int, redundancy: int) -> str:
    if devices != subsets:
        return f"N = {devices} and M = {subsets} differ"
    if not 1 < redundancy < devices:
        return f"r = {redundancy}: a device must hold more than one of the M = {subsets} subsets, not all"
    both = redundancy * (redundancy - 1)
    if both % (devices - 1):
        return f"lambda = r(r-1)/(N-1) = {fraction(both, devices - 1)} is not an integer"
    pairs = both // (devices - 1)
    known = impossible(devices, redundancy, pairs)
    return known or f"no known family has a cyclic ({devices}, {redundancy}, {pairs}) difference set"


@cache
def _served() -> NDArray[np.int64]:
    """All served N, M and r, (K, 3)."""
    return np.array([(modulus, modulus, size) for modulus, size in cyclic_sets()])


ENTRY = Scheme(difference_set, refuses, pairwise=True, laws=of_design, file=single)
