"""Worst-case bounds for an allocation: over all gradients of subsets and all Byzantine messages.

The notation is that of :mod:`byzcode.theory.bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

from byzcode.theory.arrays import Floats, floats


@dataclass(frozen=True)
class Coding:
    """The constants of weights W (..., N, M) that the bounds use, each (...)."""

    averages: NDArray[np.bool_]  # whether every row sums to 1
    device: Floats  # max_i M ||W_i - s_i / M||^2: (M - r) / r for weights 1/r
    farthest: Floats  # max_i min_c ||W_i - c||_1: min(1, (M - r) / r) for weights 1/r
    pair: Floats  # max_ij ||W_i - W_j||_1: 2 (1 - overlap / r) for weights 1/r
    spectral: Floats  # M ||W - s 1' / M||_2^2: M times the squared largest singular value
    missing: Floats  # sum_i (s_i - 1)^2: 0 if every row sums to 1


def coding(weights: Floats) -> Coding:
    """The constants of weights (..., N, M). They are invariant under permutations of devices and of subsets."""
    subsets = weights.shape[-1]
    sums = weights.sum(axis=-1)
    centred = weights - sums[..., None] / subsets
    middle = np.median(weights, axis=-1, keepdims=True)
    flat = weights.reshape(-1, *weights.shape[-2:])
    pairs = np.array([pdist(rows, "cityblock").max(initial=0.0) for rows in flat])
    return Coding(
        averages=np.abs(sums - 1).max(axis=-1) < 1e-9,
        device=subsets * np.square(centred).sum(axis=-1).max(axis=-1),
        farthest=np.abs(weights - middle).sum(axis=-1).max(axis=-1),
        pair=pairs.reshape(weights.shape[:-2]),
        spectral=spectral(weights),
        missing=np.square(sums - 1).sum(axis=-1),
    )


def spectral(weights: Floats) -> Floats:
    """M ||W - s 1' / M||_2^2, (...), of weights (..., N, M): M times the squared largest singular value."""
    centred = weights - weights.mean(axis=-1, keepdims=True)
    gram = centred @ np.swapaxes(centred, -1, -2)
    return floats(weights.shape[-1] * np.maximum(np.linalg.eigvalsh(gram)[..., -1], 0.0))


def device_error(kappa: float, apart: ArrayLike, heterogeneity: ArrayLike) -> Floats:
    """||e||^2 <= (kappa + 1) ((M - r) / r) betahat^2 (F3'), where ``apart`` is (M - r) / r. Always holds.

    (sqrt(kappa) dispersion + bias)^2 <= (kappa + 1) (dispersion^2 + bias^2) by the Cauchy-Schwarz inequality. The last
    bracket is the mean of ||g_i - grad F||^2 over honest devices; each term is at most ((M - r) / r) betahat^2.
    """
    return np.sqrt((kappa + 1) * floats(apart)) * floats(heterogeneity)


def pairs_error(
    kappa: float, pair: ArrayLike, farthest: ArrayLike, apart: ArrayLike, heterogeneity: ArrayLike, largest: ArrayLike
) -> Floats:
    """L3: ||e||^2 <= 2 kappa (pair B)^2 + 2 bias^2, where bias^2 <= min(apart betahat^2, (farthest B)^2) (F3').

    ``pair`` is 2 (1 - overlap / r), so the first term is 8 kappa (1 - r/M)^2 B^2 if every overlap is r^2 / M, and
    8 kappa B^2 if devices share no subset. ``largest`` is B. Always holds: the distance of an honest message from their
    mean is at most the largest distance between two of them.
    """
    bias = np.minimum(np.sqrt(apart) * floats(heterogeneity), floats(farthest) * floats(largest))
    return floats(np.sqrt(2 * kappa * np.square(floats(pair) * floats(largest)) + 2 * np.square(bias)))


def allocation_error(
    kappa: float,
    spectral: ArrayLike,
    missing: ArrayLike,
    honest: int,
    heterogeneity: ArrayLike,
    gradient_norm: ArrayLike,
) -> Floats:
    """||e||^2 <= (kappa + 1) / H (sigma sqrt(M) betahat + ||s - 1|| ||grad F||)^2.

    sigma is the largest singular value of the centred W; ``spectral`` is M sigma^2 and ``missing`` is ||s - 1||^2. The
    argument is that of :func:`device_error` for all devices together: sum_i ||sum_k W_ik D_k||^2 <=
    sigma^2 sum_k ||D_k||^2. It uses that not all devices can be as far off as the farthest. Always holds, but only for
    the given allocation. For disjoint lists with r = M / N the bound is (kappa + 1) (N / H) betahat^2, where F3' has
    N - 1 instead of N / H.
    """
    together = np.sqrt(spectral) * floats(heterogeneity) + np.sqrt(missing) * floats(gradient_norm)
    return floats(np.sqrt((kappa + 1) / honest) * together)
