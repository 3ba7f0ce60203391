"""How long a server waits for the last message in expectation, if all devices answer and delays are modelled."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike

from byzcode.theory.arrays import Floats, floats

#: Nodes of the quadrature in each of its intervals.
_NODES = 8
#: Beyond log n + this many mean random parts, the last of n devices is late with a probability below 1e-17.
_TAIL = 40


def harmonic(count: int) -> float:
    """H_n = 1 + 1/2 + ... + 1/n; 0 for n = 0."""
    return float((1.0 / np.arange(1, count + 1)).sum())


def last_of(loads: ArrayLike, count: int) -> float:
    """The expected delay of the last of ``count`` devices, drawn at random among N with ``loads`` (N,) in gradients.

    A device that computes r gradients takes r (1 + E) with E ~ Exp(1), independently of others: the model of
    :mod:`byzcode.absence` with its default spread. If all loads are r, the expectation is r (1 + H_count). Else it is
    the integral of 1 - P(t), with P(t) the mean, over all draws, of the product of F_i(t) = 1 - exp(-(t / r_i - 1)).
    That is exact but for the quadrature (relative error about 1e-14). Cost: N count times some hundred nodes; nothing
    if loads are equal.
    """
    load = np.asarray(loads, dtype=np.float64)
    most = float(load.max(initial=0.0))
    if count == 0 or most == 0:
        return 0.0
    if (load == most).all():
        return most * (1.0 + harmonic(count))
    beyond = most * (1.0 + np.arange(1, np.log(count) + _TAIL))
    edges = np.concatenate([[0.0], np.unique(load[load > 0]), beyond])  # F_i has a kink at r_i
    points, weights = leggauss(_NODES)
    half = np.diff(edges)[:, None] / 2
    times = (edges[:-1, None] + half * (points + 1)).ravel()
    return float((half * weights).ravel() @ (1.0 - _all_answered(load, count, times)))


def _all_answered(loads: Floats, count: int, times: Floats) -> Floats:
    """The probability that ``count`` devices, drawn at random among those with ``loads``, have answered by each time.

    This is the mean of a product over all subsets of a size: among n devices, the last is drawn with probability k/n.
    """
    means = np.zeros((count + 1, len(times)))  # for k = 0 to count of the devices so far
    means[0] = 1.0
    for number, load in enumerate(loads, 1):
        answered = -np.expm1(-np.maximum(times / load - 1.0, 0.0)) if load else np.ones_like(times)
        share = np.minimum(np.arange(1, count + 1) / number, 1.0)[:, None]
        means[1:] = (1.0 - share) * means[1:] + share * answered * means[:-1]
    return floats(means[count])
