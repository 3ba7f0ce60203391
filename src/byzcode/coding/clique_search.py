"""The maximum clique of a graph, if there is only one (Bron and Kerbosch 1973, with Tomita's pivot)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The most steps of a search. The graphs of devices that agree need a few hundred; one that needs more counts as one
#: without a unique maximum clique.
MOST_STEPS = 20_000


def only_maximum_clique(joined: NDArray[np.bool_], among: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest clique (N,) of the vertices ``among`` (N,) in a graph (N, N), or None if several are as large."""
    numbers = np.flatnonzero(among).tolist()
    neighbours = {
        vertex: sum(1 << other for other in numbers if other != vertex and joined[vertex, other]) for vertex in numbers
    }
    everyone = sum(1 << vertex for vertex in numbers)
    best, steps = 0, 0
    found: list[int] = []
    stack = [(0, 0, everyone, 0)]  # the clique, its size, vertices that extend it, and vertices already tried
    while stack:
        steps += 1
        if steps > MOST_STEPS:
            return None
        clique, size, open_, closed = stack.pop()
        if size + open_.bit_count() < best:
            continue
        if not open_ and not closed:
            found = [*found, clique] if size == best else [clique]
            best = size
            continue
        pivot = max(_bits(open_ | closed), key=lambda vertex: (open_ & neighbours[vertex]).bit_count())
        for vertex in _bits(open_ & ~neighbours[pivot]):
            inside = neighbours[vertex]
            stack.append((clique | 1 << vertex, size + 1, open_ & inside, closed & inside))
            open_, closed = open_ & ~(1 << vertex), closed | 1 << vertex
    if len(found) != 1:
        return None
    return np.array([bool(found[0] >> vertex & 1) for vertex in range(len(joined))])


def _bits(numbers: int) -> list[int]:
    return [place for place in range(numbers.bit_length()) if numbers >> place & 1]
