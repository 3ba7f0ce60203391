"""What overlaps and replications should be: the laws of the allocations that are drawn, certain for exact designs."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, exp, lgamma, log, log1p
from typing import NamedTuple

from byzcode.specs.run import AllocationSpec

#: The probability of a count.
Law = Callable[[int], float]


class Laws(NamedTuple):
    """The laws of the overlap of two devices and of the replication of a subset."""

    overlap: Law
    replication: Law


def laws(spec: AllocationSpec) -> Laws | None:
    """The laws of an allocation, or None where it has none that we know."""
    devices, subsets, redundancy = spec.devices, spec.subsets, spec.redundancy
    if spec.allocation.name == "disjoint":
        covered = devices * redundancy / subsets
        return Laws(_certain(0), lambda count: {0: 1 - covered, 1: covered}.get(count, 0.0))
    if spec.allocation.name == "orthogonal_array":
        return Laws(_certain(redundancy**2 // subsets), _binomial(devices, redundancy / subsets))
    if spec.allocation.name in ("block_design", "difference_set"):
        copies = devices * redundancy // subsets
        return Laws(_certain(redundancy * (copies - 1) // max(1, devices - 1)), _certain(copies))
    if spec.allocation.name != "random":
        return None
    if spec.allocation.options.get("side") == "subset":
        copies = max(1, round(devices * redundancy / subsets))
        both = copies * (copies - 1) / max(1, devices * (devices - 1))
        return Laws(_binomial(subsets, both), _certain(copies))
    return Laws(_hypergeometric(subsets, redundancy), _binomial(devices, redundancy / subsets))


def _hypergeometric(subsets: int, redundancy: int) -> Law:
    """Of two draws of ``redundancy`` among ``subsets``, how many are common."""
    ways = comb(subsets, redundancy)

    def law(count: int) -> float:
        if not 0 <= count <= redundancy:
            return 0.0
        return comb(redundancy, count) * comb(subsets - redundancy, redundancy - count) / ways

    return law


def _binomial(trials: int, chance: float) -> Law:
    if chance in (0.0, 1.0):
        return _certain(round(trials * chance))

    def law(count: int) -> float:
        if not 0 <= count <= trials:
            return 0.0
        ways = lgamma(trials + 1) - lgamma(count + 1) - lgamma(trials - count + 1)  # a logarithm: nothing overflows
        return exp(ways + count * log(chance) + (trials - count) * log1p(-chance))

    return law


def _certain(value: int) -> Law:
    return lambda count: float(count == value)
