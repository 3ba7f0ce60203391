"""Bounds on the error of the aggregate, ||e|| = ||ghat - grad F||, and on what training with that error comes to.

Notation: N devices, f of them lie, H = N - f; M subsets; row i of W (N, M) are the weights with which device i sums
up gradients, so g_i = sum_k W_ik grad f_k (1/r on r subsets, or replication weights); s_i the sum of row i;
D_k = grad f_k - grad F, betahat^2 = (1/M) sum_k ||D_k||^2, B = max_k ||D_k||; kappa the constant of the rule
(:func:`byzcode.theory.constants.rule_constant`). All are derived in the project's reading of the papers, sections 1.5,
2.3 and 6.

What holds when:

- Always, in every iteration of every run, whatever the liars send: ``rule``, ``device``, ``pairs``, ``allocation``.
  The last three know nothing of the messages: they are what the most adverse subsets would do.
- In expectation only: ``expected``. It averages over who holds what, so the labels of the subsets, or the lists, must
  be drawn anew and independently of theta. Under a redrawn assignment that is so in every iteration, given all that
  was before. Where an allocation is drawn once and kept, theta comes to depend on it (training fits the subsets that
  count most), so the expectation holds at iteration 0 and for no later one. A single seed may exceed it.
- The liars must not know the draw: their set is uniform and independent of it. What they then send is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

from byzcode.allocation import ALLOCATIONS, EMPTY
from byzcode.coding import DECODERS, ENCODERS
from byzcode.compression import COMPRESSORS
from byzcode.specs.last_part import LEVEL, mean_by_stretch, steps_within
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.theory.constants import coded_variance, rule_constant

Floats = NDArray[np.float64]


# --- the rule --------------------------------------------------------------------------------------------------------


def kappa_of(spec: RunSpec) -> float | None:
    """The constant of what the server does with messages: ||ghat - gbar_H||^2 <= kappa (dispersion of the honest)^2.

    0 for the mean of the honest ones, and for the plain mean where nobody lies; None where there is none: a rule
    or a pre-aggregator without a constant, more liars than the rule bears, a server that does not aggregate messages.
    """
    server = METHODS[spec.method].server
    if server == "honest_mean":
        return 0.0
    if server != "rule" or spec.undefined is not None:
        return None
    return rule_constant(spec.aggregation.name, spec.pre_aggregation.name, spec.devices, spec.f)


def is_exact(spec: RunSpec) -> bool:
    """Whether the server steps along the true gradient: it has it, or decodes it and bears so many liars."""
    method = METHODS[spec.method]
    if method.server != "decoder":
        return method.server == "true_gradient"
    return spec.f <= DECODERS[method.decoder].bears(spec.devices, spec.subsets, spec.redundancy)


def rule_error(kappa: float, dispersion: ArrayLike, bias: ArrayLike) -> Floats:
    """||e|| <= sqrt(kappa) dispersion + bias: the definition of kappa and the triangle inequality. Always holds.

    ``dispersion`` and ``bias`` are those of the honest messages as sent, compressed or not.
    """
    return _floats(np.sqrt(kappa) * _floats(dispersion) + _floats(bias))


# --- the worst case of an allocation ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coding:
    """What matters of weights W (..., N, M), each (...)."""

    averages: NDArray[np.bool_]  # whether every row sums to 1
    device: Floats  # max_i M ||W_i - s_i / M||^2: (M - r) / r for weights 1/r
    farthest: Floats  # max_i min_c ||W_i - c||_1: min(1, (M - r) / r) for weights 1/r
    pair: Floats  # max_ij ||W_i - W_j||_1: 2 (1 - overlap / r) for weights 1/r
    spectral: Floats  # M ||W - s 1' / M||_2^2, the largest singular value
    missing: Floats  # sum_i (s_i - 1)^2: rows that do not average


def coding(weights: Floats) -> Coding:
    """Of weights (..., N, M); permutations of devices and subsets change nothing in it."""
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
    """M ||W - s 1' / M||_2^2, (...), of weights (..., N, M): its largest singular value, squared, times M."""
    centred = weights - weights.mean(axis=-1, keepdims=True)
    gram = centred @ np.swapaxes(centred, -1, -2)
    return _floats(weights.shape[-1] * np.maximum(np.linalg.eigvalsh(gram)[..., -1], 0.0))


def device_error(kappa: float, apart: ArrayLike, heterogeneity: ArrayLike) -> Floats:
    """||e||^2 <= (kappa + 1) ((M - r) / r) betahat^2 (F3'), ``apart`` being (M - r) / r. Always holds.

    (sqrt(kappa) dispersion + bias)^2 <= (kappa + 1) (dispersion^2 + bias^2) by Cauchy and Schwarz, and the bracket is
    the mean of ||g_i - grad F||^2 over the honest ones, none of which exceeds ((M - r) / r) betahat^2.
    """
    return np.sqrt((kappa + 1) * _floats(apart)) * _floats(heterogeneity)


def pairs_error(
    kappa: float, pair: ArrayLike, farthest: ArrayLike, apart: ArrayLike, heterogeneity: ArrayLike, largest: ArrayLike
) -> Floats:
    """L3: ||e||^2 <= 2 kappa (pair B)^2 + 2 bias^2, where bias^2 <= min(apart betahat^2, (farthest B)^2) (F3').

    ``pair`` is 2 (1 - overlap / r), so the first term is 8 kappa (1 - r/M)^2 B^2 where every overlap is r^2 / M, and
    8 kappa B^2 where devices share nothing. Always holds: no honest message is farther from their mean than from
    another one. ``largest`` is B.
    """
    bias = np.minimum(np.sqrt(apart) * _floats(heterogeneity), _floats(farthest) * _floats(largest))
    return _floats(np.sqrt(2 * kappa * np.square(_floats(pair) * _floats(largest)) + 2 * np.square(bias)))


def allocation_error(
    kappa: float,
    spectral: ArrayLike,
    missing: ArrayLike,
    honest: int,
    heterogeneity: ArrayLike,
    gradient_norm: ArrayLike,
) -> Floats:
    """||e||^2 <= (kappa + 1) / H (sigma sqrt(M) betahat + ||s - 1|| ||grad F||)^2, sigma that of the centred W.

    As :func:`device_error`, but with all devices at once: sum_i ||sum_k W_ik D_k||^2 <= sigma^2 sum_k ||D_k||^2, and
    not all of them can be as far off as one. Always holds, for the allocation that is meant and no other. With the
    replication M / N = r of disjoint lists it is (kappa + 1) (N / H) betahat^2, where F3' has N - 1.
    """
    together = np.sqrt(spectral) * _floats(heterogeneity) + np.sqrt(missing) * _floats(gradient_norm)
    return _floats(np.sqrt((kappa + 1) / honest) * together)


# --- expectations over who holds what --------------------------------------------------------------------------------


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
        return _floats(np.square(np.sqrt(kappa * dispersion) + np.sqrt(bias)))

    def rho(self, kappa: float) -> Floats:
        """How many times ||grad F||^2 the error comes to, at least; from 1 on there is no bound on the floor.

        Never above the 2 (kappa + 1/H) delta of section 2.3.
        """
        return _floats(np.square(np.sqrt(kappa * self.dispersion[..., 1]) + np.sqrt(self.bias[..., 1])))

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
    whole = np.stack(np.broadcast_arrays(0.0, 2 * _floats(sum_of_weights) - 1), axis=-1)
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


# --- from the error to what is learnt --------------------------------------------------------------------------------


def mean_squared_gradient(
    first: ArrayLike, last: ArrayLike, steps: ArrayLike, step: ArrayLike, error: ArrayLike
) -> Floats:
    """L2: avg ||grad F||^2 <= 2 (F(T0) - F(T1)) / (eta (T1 - T0)) + avg ||e||^2 over T0 <= t < T1, if eta <= 1/L.

    ``first`` and ``last`` are the two losses, ``steps`` is T1 - T0, ``step`` is eta, ``error`` the average of ||e||^2.
    Always holds where that average does; with F(T1) >= F* it is the bound over a whole training.
    """
    return 2 * (_floats(first) - _floats(last)) / (_floats(step) * _floats(steps)) + _floats(error)


def excess_after(excess: ArrayLike, squared_error: ArrayLike, step: ArrayLike, strong_convexity: ArrayLike) -> Floats:
    """F10: F(t + 1) - F* <= (1 - eta mu) (F(t) - F*) + (eta / 2) ||e||^2, if eta <= 1/L. Always holds."""
    kept = 1 - _floats(step) * _floats(strong_convexity)
    return kept * _floats(excess) + 0.5 * _floats(step) * _floats(squared_error)


def excess_limit(squared_error: ArrayLike, strong_convexity: ArrayLike) -> Floats:
    """F10: limsup F - F* <= sup ||e||^2 / (2 mu), infinite for mu = 0."""
    error, mu = np.broadcast_arrays(_floats(squared_error), _floats(strong_convexity))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mu > 0, error / (2 * mu), np.inf)


# --- all that applies to a run ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bound:
    """A bound on the error of a run: ``error`` (R, n) for its recorded iterations, NaN where it says nothing.

    Where it ``holds`` in expectation, its square bounds E ||e||^2.
    """

    holds: Literal["always", "in expectation"]
    source: str
    error: Floats


def bounds(spec: RunSpec, measured: Mapping[Any, Any], held: NDArray[np.int32] | None = None) -> dict[str, Bound]:
    """All bounds that apply to a run, by name; empty where there is none.

    ``measured`` has arrays (R, n) under the names of :class:`byzcode.training.records.Measurements`: its fields, or
    an open trajectory. ``held`` (R, N, S) is who holds what, drawn as the run has it if left out.
    """
    shape = np.asarray(measured["heterogeneity"]).shape
    if is_exact(spec):
        return {"rule": Bound("always", "the server has the true gradient", np.zeros(shape))}
    kappa = kappa_of(spec)
    if kappa is None:
        return {}
    dispersion, bias, spread, largest, gradient = (
        _floats(measured[name])
        for name in ("honest_dispersion", "coding_bias", "heterogeneity", "largest_heterogeneity", "gradient_norm")
    )
    found = {"rule": Bound("always", "sqrt(kappa) dispersion + bias", rule_error(kappa, dispersion, bias))}
    weights = weights_of(spec, held)
    if COMPRESSORS[spec.compression.name].lossless:
        one = coding(weights)
        device, farthest, pair, spectral, missing = (
            part[:, None] for part in (one.device, one.farthest, one.pair, one.spectral, one.missing)
        )
        if one.averages.all():
            found["device"] = Bound(
                "always", "(kappa + 1) ((M - r) / r) betahat^2", device_error(kappa, device, spread)
            )
            found["pairs"] = Bound("always", "L3", pairs_error(kappa, pair, farthest, device, spread, largest))
        found["allocation"] = Bound(
            "always",
            "(kappa + 1) sigma^2 M betahat^2 / H",
            allocation_error(kappa, spectral, missing, spec.devices - spec.f, spread, gradient),
        )
    if (when := when_expected(spec)) != "never":
        expected = expected_of(spec, weights)
        over_time = Expected(expected.dispersion[:, None], expected.bias[:, None])
        error = np.sqrt(over_time.squared_error(kappa, spread, gradient))
        if when == "start":
            error[:, 1:] = np.nan
        found["expected"] = Bound("in expectation", "section 2.3, F2 and F9", error)
    return found


def weights_of(spec: RunSpec, held: NDArray[np.int32] | None = None) -> Floats:
    """The weights (R, N, M) of a run's devices, as first assigned. ``held`` as in :func:`bounds`."""
    lists = allocations.draw(spec.allocation_spec) if held is None else held
    encoder, options = ENCODERS[spec.encoding.name], spec.encoding.options
    weights = np.zeros((*lists.shape[:2], spec.subsets))
    for matrix, rows in zip(weights, lists, strict=True):
        device, slot = np.nonzero(rows != EMPTY)
        np.add.at(matrix, (device, rows[device, slot]), encoder(rows, spec.subsets, **options)[device, slot])
    return weights


def floor(spec: RunSpec, measured: Mapping[Any, Any], part: Fraction = LEVEL) -> Floats:
    """The mean of ||grad F||^2 over the last part of a run, (R,), by iterations.

    NaN where it ended early, and of all where no step of that part is recorded.
    """
    return _Late.of(spec, part).mean(np.square(_floats(measured["gradient_norm"])))


def floor_bound(spec: RunSpec, measured: Mapping[Any, Any], error: Floats, part: Fraction = LEVEL) -> Floats:
    """The bound on :func:`floor` that a bound (R, n) on the error gives by L2, (R,).

    Exact where every iteration is recorded; else averages over recorded iterations stand for those over all. NaN
    where the step is longer than 1/L, for which L2 says nothing.
    """
    late = _Late.of(spec, part)
    loss = _floats(measured["loss"])
    if spec.step_size > 1 or not late.stretches.size:
        return np.full(len(loss), np.nan)
    step = spec.step_size / _floats(measured["smoothness"])
    first, steps = loss[:, late.places][:, 0], late.stretches.sum()
    return mean_squared_gradient(first, loss[:, -1], steps, step, late.mean(np.square(error)))


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)


@dataclass(frozen=True)
class _Late:
    """The records that begin a step of the last part of a training, and for how many steps each stands."""

    places: slice
    stretches: NDArray[np.int64]

    @classmethod
    def of(cls, spec: RunSpec, part: Fraction) -> _Late:
        recorded = np.asarray(spec.record.iterations(spec.iterations))
        begin = len(recorded) - 1 - int(steps_within(recorded, part).sum())
        return cls(slice(begin, -1), np.diff(recorded)[begin:])

    def mean(self, values: Floats) -> Floats:
        """The mean of values (R, n) over the steps."""
        return mean_by_stretch(values[:, self.places], self.stretches)
