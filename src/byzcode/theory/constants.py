"""Constants of coded gradients and of rules, for bounds, recommendations and figures.

Notation: N devices, M subsets, r subsets per device, D_k = grad f_k - grad F, betahat^2 = (1/M) sum_k ||D_k||^2. All
expectations are over allocations in which each device draws r of M subsets without replacement. LAD: M -> N, r -> d.
"""

from __future__ import annotations

from byzcode.aggregation import RULES
from byzcode.pre_aggregation import PRE_AGGREGATORS


def coded_variance(subsets: int, redundancy: int) -> float:
    """E ||g_i - grad F||^2 / betahat^2 = (M - r) / (r (M - 1)): the squared error of a coded gradient."""
    return (subsets - redundancy) / (redundancy * (subsets - 1)) if subsets > 1 else 0.0


def rule_constant(rule: str, before: str, devices: int, f: int) -> float | None:
    """The least known kappa of a rule after a pre-aggregator; None if there is none."""
    kappa, behind = RULES[rule].least_kappa(devices, f), PRE_AGGREGATORS[before].kappa
    return None if kappa is None or behind is None else behind(kappa, devices, f)
