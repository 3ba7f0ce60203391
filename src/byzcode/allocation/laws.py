"""The laws of overlaps and replications: of what is drawn a distribution, of a design a certain number."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, exp, lgamma, log, log1p
from typing import NamedTuple

#: The probability of a count.
Law = Callable[[int], float]


class Laws(NamedTuple):
    """The laws of the overlap of two devices and of the replication of a subset."""

    overlap: Law
    replication: Law


def of_design(devices: int, subsets: int, redundancy: int) -> Laws:
    """Of a 2-(N, c, lambda) design: c = N r / M devices hold each subset, lambda = r (c - 1) / (N - 1) is shared."""
    copies = devices * redundancy // subsets
    return Laws(certain(redundancy * (copies - 1) // max(1, devices - 1)), certain(copies))


def hypergeometric(subsets: int, redundancy: int) -> Law:
    """Of two draws of ``redundancy`` among ``subsets``, how many are common."""
    ways = comb(subsets, redundancy)

    def law(count: int) -> float:
        if not 0 <= count <= redundancy:
            return 0.0
        return comb(redundancy, count) * comb(subsets - redundancy, redundancy - count) / ways

    return law


def binomial(trials: int, chance: float) -> Law:
    """Of independent trials, how many succeed."""
    if chance in (0.0, 1.0):
        return certain(round(trials * chance))

    def law(count: int) -> float:
        if not 0 <= count <= trials:
            return 0.0
        ways = lgamma(trials + 1) - lgamma(count + 1) - lgamma(trials - count + 1)  # a logarithm: nothing overflows
        return exp(ways + count * log(chance) + (trials - count) * log1p(-chance))

    return law


def certain(value: int) -> Law:
    """A count that is the same always."""
    return lambda count: float(count == value)
