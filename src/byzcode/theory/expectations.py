"""Expectations over who holds what: of the dispersion and the bias of honest messages, and the floor they come to.

The notation, and when an expectation holds, are in :mod:`byzcode.theory.bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from byzcode.allocation import ALLOCATIONS
from byzcode.compression import COMPRESSORS
from byzcode.specs.run import RunSpec
from byzcode.theory.arrays import Floats, floats
from byzcode.theory.constants import coded_variance


@dataclass(frozen=True)
class Expected:
    """E dispersion^2 and E bias^2 of the honest messages, (..., 2): how many times betahat^2 and ||grad F||^2."""

    dispersion: Floats
    bias: Floats

    def squared_error(self, kappa: float, heterogeneity: ArrayLike, gradient_norm: ArrayLike) -> Floats:
        """E ||e||^2 <= (sqrt(kappa E dispersion^2) + sqrt(E bias^2))^2, by Minkowski's inequality.

        Never above the 2 kappa E dispersion^2 + 2 E bias^2 of section 2.3.
        """
        given = np.stack(np.broadcast_arrays(np.square(heterogeneity), np.square(gradient_norm)), axis=-1)
        dispersion, bias = (given * self.dispersion).sum(axis=-1), (given * self.bias).sum(axis=-1)
        return floats(np.square(np.sqrt(kappa * dispersion) + np.sqrt(bias)))

    def rho(self, kappa: float) -> Floats:
        """How many times ||grad F||^2 the error comes to, at least; from 1 on there is no bound on the floor.

        Never above the 2 (kappa + 1/H) delta of section 2.3.
        """
        return floats(np.square(np.sqrt(kappa * self.dispersion[..., 1]) + np.sqrt(self.bias[..., 1])))

    def floor(self, kappa: float) -> Floats:
        """Limsup avg E ||grad F||^2 over betahat^2, at most; infinite where :meth:`rho` is 1 or more.

        By L2 the average x of ||grad F||^2 is in the end at most that of ||e||^2, which is at most
        (sqrt(kappa (a + b x)) + sqrt(c + d x))^2: the largest such x solves a quadratic equation.
        """
        (a, b), (c, d) = (np.moveaxis(part, -1, 0) for part in (kappa * self.dispersion, self.bias))
        left, const, crossed = 1 - b - d, a + c, a * d + b * c
        square = left**2 - 4 * b * d
        inner = (a * d - b * c) ** 2 + left * const * crossed + a * c * left**2 + b * d * const**2
        root = np.sqrt(np.maximum(inner, 0))  # below 0 only where there is no bound
        bounded = self.rho(kappa) < 1
        return np.where(bounded, (left * const + 2 * crossed + 2 * root) / np.where(bounded, square, 1.0), np.inf)


def redrawn_tasks(devices: int, subsets: int, redundancy: int, f: int) -> Expected:
    """LAD, section 2.3: tasks on equally many devices each, labels and liars drawn anew in each iteration.

    With v = betahat^2 (M - r) / (r (M - 1)), (N - d) / (d (N - 1)) for M = N: E bias^2 = f / (H (N - 1)) v, and
    E dispersion^2 = (1 - 1/H) (N / (N - 1)) v is the rest of v. Holds in every iteration.
    """
    variance, honest = coded_variance(subsets, redundancy), devices - f
    bias = f / (honest * (devices - 1)) * variance if devices > 1 else 0.0
    return Expected(np.array([variance - bias, 0.0]), np.array([bias, 0.0]))


def disjoint_lists(devices: int, subsets: int, redundancy: int, f: int) -> Expected:
    """RBA-DL: lists that share nothing, under a random permutation of labels, N r of M subsets held.

    As :func:`random_labels`: a device is off by v_r and the mean of all by v_(N r), where v_r = (M - r) / (r (M - 1)),
    and liars add to the mean f / (H (N - 1)) of the difference.
    """
    each, centre = (coded_variance(subsets, held) for held in (redundancy, devices * redundancy))
    bias = centre + (f / ((devices - f) * (devices - 1)) * (each - centre) if devices > 1 else 0.0)
    return Expected(np.array([max(each - bias, 0.0), 0.0]), np.array([bias, 0.0]))


def sampled_lists(devices: int, subsets: int, redundancy: int, f: int) -> Expected:
    """CRA-DL, F1 and F2: each device has drawn its r subsets by itself. At iteration 0, or where they are drawn anew.

    E bias^2 = v / H and E dispersion^2 = (1 - 1/H) v, v as in :func:`redrawn_tasks`.
    """
    variance, honest = coded_variance(subsets, redundancy), devices - f
    return Expected(np.array([(1 - 1 / honest) * variance, 0.0]), np.array([variance / honest, 0.0]))


def random_labels(weights: Floats, f: int) -> Expected:
    """Weights (..., N, M), labels of the subsets a uniform permutation, liars a uniform set of f devices.

    A device is off by M / (M - 1) sum_k (W_ik - s_i / M)^2 betahat^2 + (s_i - 1)^2 ||grad F||^2 in expectation, and
    so is the mean of all N with its mean weights; liars leave a sample of H out of N, without replacement. With rows
    of 1/r and equal replications it is :func:`redrawn_tasks`.
    """
    devices, honest = weights.shape[-2], weights.shape[-2] - f
    each = _off(weights).mean(axis=-2)
    centre = _off(weights.mean(axis=-2, keepdims=True))[..., 0, :]
    bias = centre + (f / (honest * (devices - 1)) if devices > 1 else 0.0) * (each - centre)
    return Expected(np.maximum(each - bias, 0.0), bias)


def _off(weights: Floats) -> Floats:
    subsets, sums = weights.shape[-1], weights.sum(axis=-1)
    around = np.square(weights - sums[..., None] / subsets).sum(axis=-1) * subsets / max(1, subsets - 1)
    return np.stack([around, np.square(sums - 1)], axis=-1)


def compressed(
    expected: Expected, delta: float, honest: int, *, shared: bool = False, sum_of_weights: Any = 1.0
) -> Expected:
    """Behind an unbiased compressor with E ||C(x) - x||^2 <= delta ||x||^2 (F9, section 2.3).

    Of its own for each device it adds delta (1 - 1/H) (1/H) sum E ||g_i||^2 to the dispersion and the H-th part of
    delta (1/H) sum E ||g_i||^2 to the bias; E ||g_i||^2 = ||grad F||^2 + E ||g_i - grad F||^2. With a mask ``shared``
    by all it multiplies the dispersion by 1 + delta, and adds delta E ||gbar_H||^2 to the bias.
    """
    whole = np.stack(np.broadcast_arrays(0.0, 2 * floats(sum_of_weights) - 1), axis=-1)
    if shared:
        return Expected(expected.dispersion * (1 + delta), expected.bias + delta * (expected.bias + whole))
    norms = delta * (expected.dispersion + expected.bias + whole)
    return Expected(expected.dispersion + (1 - 1 / honest) * norms, expected.bias + norms / honest)


def when_expected(spec: RunSpec) -> Literal["always", "start", "never"]:
    """In which iterations the expectation over who holds what is known; see the module."""
    if not COMPRESSORS[spec.compression.name].unbiased:
        return "never"
    labels, rows = (spec.assignment in ("redrawn", f"{what}_redrawn") for what in ("subsets", "devices"))
    if labels and (rows or spec.byzantine.identities == "redrawn"):
        return "always"
    return "start" if labels or ALLOCATIONS[spec.allocation.name].drawn else "never"


def expected_of(spec: RunSpec, weights: Floats) -> Expected:
    """The expectation for a run on weights (..., N, M), whose compressor must be unbiased."""
    compressor, options = COMPRESSORS[spec.compression.name], spec.compression.options
    return compressed(
        random_labels(weights, spec.f),
        compressor.delta(spec.dimension, **options),
        spec.devices - spec.f,
        shared=compressor.shared(**options),
        sum_of_weights=weights.sum(axis=-1).mean(axis=-1),
    )
