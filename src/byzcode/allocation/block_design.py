"""Block designs: any two devices share the same number of subsets, and each subset is on the same number of devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import combinations, count
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation.difference_set import cyclic_sets, impossible
from byzcode.allocation.field import affine_lines, directions, field, projective_lines, values
from byzcode.allocation.laws import of_design
from byzcode.allocation.scheme import Scheme, single
from byzcode.allocation.sizes import MOST, fraction, nearest, prime_powers, primes

Blocks = NDArray[np.int64]


class Design(NamedTuple):
    """A 2-design: ``make()`` gives the points of each of its blocks, (blocks, size)."""

    points: int
    blocks: int
    size: int
    make: Callable[[], Blocks]

    @property
    def redundancy(self) -> int:
        """The number of blocks that contain a point."""
        return self.blocks * self.size // self.points


def block_design(devices: int, subsets: int, redundancy: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Devices are the points of a 2-(N, c, lambda) design and subsets its blocks: a device holds the blocks it is in.

    Every subset is on c = N r / M devices, so the mean of all coded gradients is the gradient. Every two devices share
    lambda = r (c - 1)/(N - 1) subsets, fewer than r^2 / M. If no design of :data:`FAMILIES` has the size itself, the
    blocks are repeated or replaced by their complements.

    Returns the assigned subsets, (N, redundancy). Nothing is random. Cost: O(N r), and O(N M) with complements.
    """
    complement, copies, design = _fitting(devices, subsets, redundancy)[0]
    blocks = np.tile(design.make(), (copies, 1))
    # A stable sort of the points, block after block, lists the blocks of each point in ascending order.
    assigned = (blocks.ravel().argsort(kind="stable") // design.size).reshape(devices, -1)
    if complement:
        left = np.ones((devices, subsets), dtype=bool)
        np.put_along_axis(left, assigned, values=False, axis=1)
        assigned = left.nonzero()[1].reshape(devices, redundancy)
    return assigned.astype(np.int32)


def refuses(devices: int, subsets: int, redundancy: int) -> str | None:
    """Refuse unless c and lambda are integers and a family has the design, perhaps repeated, or its complement."""
    if _fitting(devices, subsets, redundancy):
        return None
    return f"{_reason(devices, subsets, redundancy)}; {_nearest(devices, subsets, redundancy)}"


# --- families --------------------------------------------------------------------------------------------------------


def all_subsets() -> Iterator[Design]:
    """All subsets of k points, in particular all pairs. Not 2-(3, 2, 1), whose complement shares nothing."""
    for size in count(2):
        if comb(2 * size - 1, size) > MOST:
            return
        for points in count(max(2 * size - 1, 4)):
            blocks = comb(points, size)
            if blocks > MOST:
                break
            yield Design(points, blocks, size, partial(_all_subsets, points, size))


def _all_subsets(points: int, size: int) -> Blocks:
    return np.array(list(combinations(range(points), size)))


def triple_systems() -> Iterator[Design]:
    """Steiner triple systems, 2-(v, 3, 1): Bose (1939) for v = 6t + 3, Skolem (1958) for v = 6t + 1."""
    for points in count(7):
        blocks = points * (points - 1) // 6
        if blocks > MOST:
            return
        if points % 6 in (1, 3):
            yield Design(points, blocks, 3, partial(_triples, points))


def _triples(points: int) -> Blocks:
    """Triples on three levels of n points, and an extra point for v = 6t + 1; (x, level) has the number x + n level."""
    n = points // 3
    x, y = np.triu_indices(n, k=1)
    level = n * np.arange(3)[:, None]
    above = np.roll(level, -1, axis=0)
    if points % 6 == 3:
        mean, upright = (x + y) * (n // 2 + 1) % n, np.arange(n)  # (x + y) / 2 mod n, because n is odd
        more = []
    else:
        mean, upright = (x + y) % n // 2 + (x + y) % 2 * (n // 2), np.arange(n // 2)
        more = [np.stack([np.full((3, n // 2), 3 * n), upright + n // 2 + level, upright + above], axis=-1)]
    slanted = np.stack([x + level, y + level, mean + above], axis=-1)
    return np.concatenate([(upright + level).T, *(part.reshape(-1, 3) for part in (slanted, *more))])


def lines() -> Iterator[Design]:
    """The lines of AG(m, q) and of PG(m, q); with m = 2 those of the planes."""
    for order in prime_powers():
        for dimension in count(2):
            points = order**dimension
            blocks = points // order * (points - 1) // (order - 1)
            if blocks > MOST:
                break
            yield Design(points, blocks, order, partial(_affine, order, dimension))
            points = (order ** (dimension + 1) - 1) // (order - 1)
            blocks = points * (points - 1) // (order * (order + 1))
            if blocks <= MOST:
                yield Design(points, blocks, order + 1, partial(projective_lines, order, dimension))


def _affine(order: int, dimension: int) -> Blocks:
    return affine_lines(order, dimension)[0]


def hyperplanes() -> Iterator[Design]:
    """The hyperplanes of AG(m, q), m > 2; those of PG(m, q) are among the symmetric designs."""
    for order in prime_powers():
        for dimension in count(3):
            blocks = order * (order**dimension - 1) // (order - 1)
            if blocks > MOST:
                break
            yield Design(order**dimension, blocks, order ** (dimension - 1), partial(_levels, order, dimension))


def _levels(order: int, dimension: int) -> Blocks:
    """The level sets of every linear functional."""
    level = values(order, dimension, directions(order, dimension))
    return level.argsort(axis=1, kind="stable").reshape(-1, order ** (dimension - 1))


def symmetric() -> Iterator[Design]:
    """The shifts of the cyclic difference sets, which give as many blocks as points."""
    for (points, size), make in cyclic_sets().items():
        yield Design(points, points, size, partial(_shifts, points, make))


def _shifts(points: int, make: Callable[[], Blocks]) -> Blocks:
    return (np.arange(points)[:, None] + make()) % points


def cyclotomic() -> Iterator[Design]:
    """2-(p, k, 1) with a prime p = k (k - 1) t + 1: multiples of roots of 1 (Bose 1939, Wilson 1972).

    A base block consists of the k-th roots for odd k, and of 0 and the (k - 1)-th roots for even k. The blocks are all
    shifts of t multiples of it, if these contain each difference once.
    """
    for size in range(4, 10):
        for prime in primes().tolist():
            blocks = prime * (prime - 1) // (size * (size - 1))
            if blocks > MOST:
                break
            if prime % (size * (size - 1)) == 1 and blocks > prime and _tile(prime, size):
                yield Design(prime, blocks, size, partial(_multiples, prime, size))


def _roots(prime: int, size: int) -> tuple[int, list[int]]:
    """A primitive root, and the roots of 1 except 1 itself."""
    factors = [f for f in range(2, prime) if (prime - 1) % f == 0]
    primitive = next(x for x in range(2, prime) if all(pow(x, (prime - 1) // f, prime) > 1 for f in factors))
    number = size - 1 + size % 2
    return primitive, [pow(primitive, (prime - 1) // number * place, prime) for place in range(1, number)]


def _tile(prime: int, size: int) -> bool:
    """Whether the multiples of the base block contain each difference once: its differences lie in different cosets."""
    _, roots = _roots(prime, size)
    differences = [1] * (1 - size % 2) + [root - 1 for root in roots[: len(roots) // 2]]
    return len({pow(x, (prime - 1) // (size // 2), prime) for x in differences}) == size // 2


def _multiples(prime: int, size: int) -> Blocks:
    primitive, roots = _roots(prime, size)
    multipliers = [pow(primitive, size // 2 * i, prime) for i in range((prime - 1) // (size * (size - 1)))]
    base = np.outer(multipliers, [*[0] * (1 - size % 2), 1, *roots])
    return ((base[:, None] + np.arange(prime)[:, None]) % prime).reshape(-1, size)


def of_25_points() -> Iterator[Design]:
    """2-(25, 4, 1): the shifts of two blocks in Z_5 x Z_5."""
    yield Design(25, 50, 4, _of_25_points)


def _of_25_points() -> Blocks:
    base = np.array([[0, 1, 5, 12], [0, 2, 8, 17]])  # x and y as 5 x + y
    x, y = np.indices((5, 5)).reshape(2, -1, 1, 1)
    return ((base // 5 + x) % 5 * 5 + (base + y) % 5).reshape(-1, 4)


def transversal(known: Iterable[Design]) -> Iterator[Design]:
    """2-(k q, k, 1) with a prime power q: k groups of q points, a known 2-(q, k, 1) on each, and blocks across them.

    The blocks across are those of the transversal design TD(k, q) over GF(q): (x, y, x + y, x + 2 y, ...), where 2 is
    the third element of the field, and so on. 2-(100, 4, 1) has 4 groups of 25 points.
    """
    for inner in known:
        order, size = inner.points, inner.size
        blocks = order**2 + size * inner.blocks
        single = inner.blocks * size * (size - 1) == order * (order - 1)  # lambda = 1
        if single and order in prime_powers() and blocks <= MOST:
            yield Design(size * order, blocks, size, partial(_transversal, inner))


def _transversal(inner: Design) -> Blocks:
    order, groups = inner.points, np.arange(inner.size)
    plus, times = field(order)
    x, y = np.indices((order, order)).reshape(2, -1, 1)
    across = np.column_stack([x, y, plus[x, times[groups[1:-1], y]]]) + order * groups
    within = inner.make() + order * groups[:, None, None]
    return np.concatenate([across, within.reshape(-1, inner.size)])


#: The families whose designs need nothing but a size. The first family that has a size makes the design.
FAMILIES: tuple[Callable[[], Iterator[Design]], ...] = (
    lines,
    all_subsets,
    triple_systems,
    hyperplanes,
    symmetric,
    cyclotomic,
    of_25_points,
)


# --- the list of all sizes -------------------------------------------------------------------------------------------


@cache
def _designs() -> dict[int, list[Design]]:
    """The designs of the families by their number of points, up to :data:`MOST` blocks."""
    simple = [design for family in FAMILIES for design in family()]
    by_points: dict[int, list[Design]] = {}
    for design in (*simple, *transversal(simple)):
        by_points.setdefault(design.points, []).append(design)
    return by_points


def _fitting(devices: int, subsets: int, redundancy: int) -> list[tuple[bool, int, Design]]:
    """The designs that serve a size, fewest copies first: whether by the complement, copies of each block, design."""
    fitting = [
        (complement, subsets // design.blocks, design)
        for complement in (False, True)
        for design in _designs().get(devices, [])
        if subsets % design.blocks == 0
        and subsets // design.blocks * design.redundancy == (subsets - redundancy if complement else redundancy)
    ]
    return sorted(fitting, key=lambda fit: fit[1])


def _reason(devices: int, subsets: int, redundancy: int) -> str:
    if not 0 < redundancy < subsets:
        return f"r = {redundancy}: a device must hold some of the M = {subsets} subsets, not all"
    copies, rest = divmod(devices * redundancy, subsets)
    if rest:
        return f"c = N r/M = {fraction(devices * redundancy, subsets)} is not an integer"
    if copies < 2:
        return "c = N r/M = 1: no two devices would share a subset, as with allocation disjoint"
    pairs, rest = divmod(redundancy * (copies - 1), devices - 1)
    if rest:
        return f"lambda = r(c-1)/(N-1) = {fraction(redundancy * (copies - 1), devices - 1)} is not an integer"
    if subsets < devices:
        return f"M = {subsets} is below N = {devices} (Fisher)"
    known = None
    if subsets == devices:
        known = impossible(devices, redundancy, pairs)
    elif devices == copies**2 and pairs == 1:  # an affine plane exists where the projective one does
        known = impossible(devices + copies + 1, copies + 1, 1)
    return known or f"no known family has a 2-({devices}, {copies}, {pairs}) design with {subsets} blocks"


def _nearest(devices: int, subsets: int, redundancy: int) -> str:
    """Name the nearest size among all designs and complements, with the numbers of copies nearest to M and to r."""
    once = _served()
    ratios = np.maximum([subsets, redundancy], 1) / once[:, 1:]
    copies = np.maximum(np.concatenate([np.floor(ratios), np.ceil(ratios)], axis=1), 1).astype(np.int64)
    repeated = once[:, None] * np.stack([np.ones_like(copies), copies, copies], axis=-1)
    return nearest((devices, subsets, redundancy), repeated.reshape(-1, 3))


@cache
def _served() -> NDArray[np.int64]:
    """All served N, M and r without repeated blocks, (K, 3)."""
    sizes = np.array([(d.points, d.blocks, d.redundancy) for designs in _designs().values() for d in designs])
    return np.concatenate([sizes, np.column_stack([sizes[:, 0], sizes[:, 1], sizes[:, 1] - sizes[:, 2]])])


ENTRY = Scheme(block_design, refuses, pairwise=True, laws=of_design, file=single)
