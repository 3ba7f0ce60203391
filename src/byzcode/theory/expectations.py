"""Expected dispersion and bias of honest messages, over the allocation, and the floor that they imply.

:mod:`byzcode.theory.bounds` explains the notation and when an expectation holds.
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
    """E dispersion^2 and E bias^2 of honest messages, each (..., 2): the coefficients of betahat^2 and ||grad F||^2."""

    dispersion: Floats
    bias: Floats

    def squared_error(self, kappa: float, heterogeneity: ArrayLike, gradient_norm: ArrayLike) -> Floats:
        """E ||e||^2 <= (sqrt(kappa E dispersion^2) + sqrt(E bias^2))^2, by Minkowski's inequality.

        This is at most the 2 kappa E dispersion^2 + 2 E bias^2 of section 2.3.
        """
        given = np.stack(np.broadcast_arrays(np.square(heterogeneity), np.square(gradient_norm)), axis=-1)
        dispersion, bias = (given * self.dispersion).sum(axis=-1), (given * self.bias).sum(axis=-1)
        return floats(np.square(np.sqrt(kappa * dispersion) + np.sqrt(bias)))

    def rho(self, kappa: float) -> Floats:
        """The coefficient of ||grad F||^2 in the squared error if betahat = 0. From 1 on the floor has no bound.

        This is at most the 2 (kappa + 1/H) delta of section 2.3.
        """
        return floats(np.square(np.sqrt(kappa * self.dispersion[..., 1]) + np.sqrt(self.bias[..., 1])))

    def floor(self, kappa: float) -> Floats:
        """A bound on limsup avg E ||grad F||^2 / betahat^2; infinite if :meth:`rho` is 1 or more.

        By L2 the average x of ||grad F||^2 is, in the limit, at most the average of ||e||^2. That is at most
        (sqrt(kappa (a + b x)) + sqrt(c + d x))^2, so the largest possible x solves a quadratic equation.
        """
        (a, b), (c, d) = (np.moveaxis(part, -1, 0) for part in (kappa * self.dispersion, self.bias))
        left, const, crossed = 1 - b - d, a + c, a * d + b * c
        square = left**2 - 4 * b * d
        inner = (a * d - b * c) ** 2 + left * const * crossed + a * c * left**2 + b * d * const**2
        root = np.sqrt(np.maximum(inner, 0))  # ``inner`` is negative only if there is no bound
        bounded = self.rho(kappa) < 1
        return np.where(bounded, (left * const + 2 * crossed + 2 * root) / np.where(bounded, square, 1.0), np.inf)


def redrawn_tasks(devices: int, subsets: int, redundancy: int, f: int) -> Expected:
    """LAD, section 2.3: equal replication of all tasks; labels and Byzantine devices redrawn in each iteration.

    Let v = betahat^2 (M - r) / (r (M - 1)), where the factor is (N - d) / (d (N - 1)) for M = N. Then
    E bias^2 = f / (H (N - 1)) v, and E dispersion^2 = (1 - 1/H) (N / (N - 1)) v is the rest of v. This holds in every
    iteration.
    """
    variance, honest = coded_variance(subsets, redundancy), devices - f
    bias = f / (honest * (devices - 1)) * variance if devices > 1 else 0.0
    return Expected(np.array([variance - bias, 0.0]), np.array([bias, 0.0]))


def disjoint_lists(devices: int, subsets: int, redundancy: int, f: int) -> Expected:
    """RBA-DL: disjoint lists under a random permutation of labels; the devices hold N r of the M subsets.

    As in :func:`random_labels`, the squared error of a device is v_r and that of the mean of all devices is v_(N r),
    where v_r = (M - r) / (r (M - 1)). Leaving out f devices adds f / (H (N - 1)) of the difference to that of the mean.
    """
    each, centre = (coded_variance(subsets, size) for size in (redundancy, devices * redundancy))
    bias = centre + (f / ((devices - f) * (devices - 1)) * (each - centre) if devices > 1 else 0.0)
    return Expected(np.array([max(each - bias, 0.0), 0.0]), np.array([bias, 0.0]))


def sampled_lists(devices: int, subsets: int, redundancy: int, f: int) -> Expected:
    """CRA-DL, F1 and F2: each device draws its r subsets independently. Holds at iteration 0, or if they are redrawn.

    E bias^2 = v / H and E dispersion^2 = (1 - 1/H) v, with v as in :func:`redrawn_tasks`.
    """
    variance, honest = coded_variance(subsets, redundancy), devices - f
    return Expected(np.array([(1 - 1 / honest) * variance, 0.0]), np.array([variance / honest, 0.0]))


def random_labels(weights: Floats, f: int) -> Expected:
    """Weights (..., N, M), a uniform permutation of the labels of subsets, a uniform set of f Byzantine devices.

    The expected squared error of a device is M / (M - 1) sum_k (W_ik - s_i / M)^2 betahat^2 + (s_i - 1)^2 ||grad F||^2.
    The same formula with the mean weights gives that of the mean of all N devices. The honest devices are a sample of
    H out of N without replacement. With weights 1/r and equal replications this is :func:`redrawn_tasks`.
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
    """The expectation after an unbiased compressor with E ||C(x) - x||^2 <= delta ||x||^2 (F9, section 2.3).

    Let G = (1/H) sum E ||g_i||^2, where E ||g_i||^2 = ||grad F||^2 + E ||g_i - grad F||^2. If devices compress
    independently, the dispersion grows by delta (1 - 1/H) G and the bias by delta G / H. With a mask ``shared`` by all
    devices, the dispersion is multiplied by 1 + delta, and the bias grows by delta E ||gbar_H||^2.
    """
    gradient = np.stack(np.broadcast_arrays(0.0, 2 * floats(sum_of_weights) - 1), axis=-1)
    if shared:
        return Expected(expected.dispersion * (1 + delta), expected.bias + delta * (expected.bias + gradient))
    norms = delta * (expected.dispersion + expected.bias + gradient)
    return Expected(expected.dispersion + (1 - 1 / honest) * norms, expected.bias + norms / honest)


def when_expected(spec: RunSpec) -> Literal["always", "start", "never"]:
    """In which iterations the expectation over the allocation holds; see :mod:`byzcode.theory.bounds`."""
    scheme = ALLOCATIONS[spec.allocation.name]
    if spec.absent and not scheme.exact(**spec.allocation.options):
        return "never"  # whoever has fewer subsets answers earlier
    if not COMPRESSORS[spec.compression.name].unbiased or (spec.f and spec.byzantine.identities == "chosen"):
        return "never"
    labels, rows = (spec.assignment in ("redrawn", f"{side}_redrawn") for side in ("subsets", "devices"))
    if labels and (rows or spec.byzantine.identities == "redrawn"):
        return "always"
    return "start" if labels or scheme.drawn else "never"


def expected_of(spec: RunSpec, weights: Floats) -> Expected:
    """The expectation for a run with weights (..., N, M). The compressor of the run must be unbiased."""
    compressor, options = COMPRESSORS[spec.compression.name], spec.compression.options
    return compressed(
        random_labels(weights, spec.devices - spec.honest),
        compressor.delta(spec.dimension, **options),
        spec.honest,
        shared=compressor.shared(**options),
        sum_of_weights=weights.sum(axis=-1).mean(axis=-1),
    )
