"""The laws of overlaps and replications: a distribution if an allocation is drawn, a certain number for a design."""

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
    """The laws of a 2-(N, c, lambda) design: replication c = N r / M, overlap lambda = r (c - 1) / (N - 1)."""
    copies = devices * redundancy // subsets
    return Laws(certain(redundancy * (copies - 1) // max(1, devices - 1)), certain(copies))


def hypergeometric(subsets: int, redundancy: int) -> Law:
    """The law of the number of common subsets in two draws of ``redundancy`` among ``subsets``."""
    ways = comb(subsets, redundancy)

    def law(count: int) -> float:
        if not 0 <= count <= redundancy:
            return 0.0
        return comb(redundancy, count) * comb(subsets - redundancy, redundancy - count) / ways

    return law


def binomial(trials: int, chance: float) -> Law:
    """The law of the number of successes in independent trials."""
    if chance in (0.0, 1.0):
        return certain(round(trials * chance))

    def law(count: int) -> float:
        if not 0 <= count <= trials:
            return 0.0
        ways = lgamma(trials + 1) - lgamma(count + 1) - lgamma(trials - count + 1)  # a logarithm, so nothing overflows
        return exp(ways + count * log(chance) + (trials - count) * log1p(-chance))

    return law


def certain(value: int) -> Law:
    """The law of a count that is always the same."""
    return lambda count: float(count == value)
