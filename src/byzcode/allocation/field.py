"""Finite fields as tables, and the points and lines of the geometries over them.

A vector of GF(q)^m is written as the number whose digits to the base q are its entries, lowest first.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import galois

Numbers = NDArray[np.int64]


class Field(NamedTuple):
    """The addition and the multiplication of GF(q), (q, q) each; the numbers 0 and 1 are its zero and one."""

    plus: Numbers
    times: Numbers


@cache
def field(order: int) -> Field:
    """The tables of GF(q). Raises ValueError if q is not a prime power."""
    numbers = np.arange(order)
    if all(order % factor for factor in range(2, int(order**0.5) + 1)):  # a prime: no need to load galois
        return Field((numbers[:, None] + numbers) % order, numbers[:, None] * numbers % order)
    elements = _extension(order)(numbers)
    plus, times = elements[:, None] + elements, elements[:, None] * elements
    return Field(plus.view(np.ndarray).astype(np.int64), times.view(np.ndarray).astype(np.int64))


def recurrence(order: int) -> tuple[int, list[int]]:
    """The prime p and c_0, ..., c_(n - 1) with x^n = sum_i c_i x^i mod p for a primitive x of GF(p^n), n > 1."""
    extension = _extension(order)
    coefficients = [
        -int(coefficient) % extension.characteristic for coefficient in extension.irreducible_poly.coeffs[:0:-1]
    ]
    return extension.characteristic, coefficients


def _extension(order: int) -> type[galois.FieldArray]:
    """GF(p^n), not compiled: to compile a field takes a second or two, its tables without that only milliseconds."""
    import galois

    prime = next(factor for factor in range(2, order) if order % factor == 0)
    galois.GF(prime, compile="python-calculate")  # else the field below compiles it
    return galois.GF(order, compile="python-calculate")


def directions(order: int, dimension: int) -> Numbers:
    """The (q^m - 1)/(q - 1) points of PG(m - 1, q): the vectors whose highest entry other than 0 is 1.

    Vectors with more entries come first, so the point (y, 1) has the place y, as in the affine part of the geometry.
    """
    powers = [order**place for place in reversed(range(dimension))]
    return np.concatenate([np.arange(power, 2 * power) for power in powers])


def values(order: int, dimension: int, functionals: Numbers) -> Numbers:
    """The values of linear functionals (A,) at all vectors, (A, q^m)."""
    plus, times = field(order)
    vectors = np.arange(order**dimension)
    sums = np.zeros((len(functionals), len(vectors)), dtype=np.int64)
    for power in (order**place for place in range(dimension)):
        sums = plus[sums, times[(functionals // power % order)[:, None], vectors // power % order]]
    return sums


def affine_lines(order: int, dimension: int) -> tuple[Numbers, Numbers]:
    """The lines of AG(m, q), (b, q), and the place of each line's direction in :func:`directions`, (b,)."""
    plus, times = field(order)
    vectors, scalars = np.arange(order**dimension), np.arange(order)
    lines, places = [], []
    start = 0
    for highest in reversed(range(dimension)):
        power = order**highest
        along = np.arange(power, 2 * power)[:, None, None]
        from_ = vectors[vectors // power % order == 0][:, None]  # each line once, from its point on this hyperplane
        digits = (
            plus[from_ // base % order, times[scalars, along // base % order]] * base
            for base in (order**place for place in range(dimension))
        )
        lines.append(sum(digits, start=np.zeros(1, dtype=np.int64)).reshape(-1, order))
        places.append(np.repeat(start + np.arange(power), from_.size))
        start += power
    return np.concatenate(lines), np.concatenate(places)


def projective_lines(order: int, dimension: int) -> Numbers:
    """The lines of PG(m, q), (b, q + 1): those of AG(m, q), each with its direction as a point, then the others."""
    if dimension == 1:
        return np.arange(order + 1)[None]
    lines, places = affine_lines(order, dimension)
    infinity = order**dimension
    return np.concatenate(
        [
            np.column_stack([lines, infinity + places]),
            infinity + projective_lines(order, dimension - 1),
        ]
    )
