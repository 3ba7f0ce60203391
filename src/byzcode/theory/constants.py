"""Closed forms for coded gradients and rules, used by bounds, recommendations, figures and tests.

Notation: N devices, M subsets, r subsets per device, D_k = grad f_k - grad F, betahat^2 = (1/M) sum_k ||D_k||^2. All
expectations are over allocations in which each device draws r of M subsets without replacement. LAD: M -> N, r -> d.
"""

from __future__ import annotations

from byzcode.aggregation import RULES
from byzcode.pre_aggregation import PRE_AGGREGATORS


def coded_variance(subsets: int, redundancy: int) -> float:
    """E ||g_i - grad F||^2 / betahat^2 = (M - r) / (r (M - 1)): the squared error of a coded gradient."""
    return (subsets - redundancy) / (redundancy * (subsets - 1)) if subsets > 1 else 0.0


def coded_distance(subsets: int, redundancy: int, overlap: float | None = None) -> float:
    """E ||g_i - g_j||^2 / betahat^2 = 2 (r - overlap) M / (r^2 (M - 1)) for two devices that share ``overlap`` subsets.

    With the default overlap r^2 / M this is twice :func:`coded_variance`.
    """
    shared = redundancy**2 / subsets if overlap is None else overlap
    return 2 * (redundancy - shared) / redundancy**2 * subsets / (subsets - 1) if subsets > 1 else 0.0


def bias_variance(subsets: int, redundancy: int, devices: int) -> float:
    """E ||mean_i g_i - grad F||^2 / betahat^2 = (M - r) / (r (M - 1) N), with weights 1/r and f = 0.

    The allocation determines this error: no rule and no number of iterations removes it.
    """
    return coded_variance(subsets, redundancy) / devices


def uncovered(subsets: int, redundancy: int, devices: int) -> float:
    """The expected number of subsets that no device holds, M (1 - r/M)^N."""
    return float(subsets * (1 - redundancy / subsets) ** devices)


def mean_message_under_sign_flip(alpha: float, coefficient: float) -> float:
    """The mean message divided by grad F, if a fraction alpha of the devices multiplies gradients by ``coefficient``.

    It is negative beyond alpha = 1 / (1 + |coefficient|), so the plain mean then ascends.
    """
    return 1 - alpha * (1 - coefficient)


def rule_constant(rule: str, before: str, devices: int, f: int) -> float | None:
    """The least known kappa of a rule after a pre-aggregator; None if there is none."""
    kappa, behind = RULES[rule].least_kappa(devices, f), PRE_AGGREGATORS[before].kappa
    return None if kappa is None or behind is None else behind(kappa, devices, f)
