"""Bounds on the error of the aggregate, ||e|| = ||ghat - grad F||, and on the result of training with that error.

Notation: N devices, f of them Byzantine, H = N - f; M subsets. Row i of W (N, M) has the weights of device i, so its
coded gradient is g_i = sum_k W_ik grad f_k (weights 1/r on r subsets, or replication weights); s_i is the sum of row i.
D_k = grad f_k - grad F, betahat^2 = (1/M) sum_k ||D_k||^2, B = max_k ||D_k||. kappa is the constant of the rule
(:func:`byzcode.theory.constants.rule_constant`). The project's reading of the papers derives all bounds in sections
1.5, 2.3 and 6.

When the bounds hold:

- ``rule``, ``device``, ``pairs`` and ``allocation`` hold always: in every iteration of every run, for all Byzantine
  messages. The last three do not use the messages: they bound the worst case over the gradients of the subsets.
- ``expected`` holds only in expectation over the allocation, so the labels of the subsets, or the lists, must be drawn
  anew and independently of theta. A redrawn assignment satisfies this in every iteration, conditionally on the past.
  If an allocation is drawn once and kept, theta comes to depend on it (training fits the subsets with most weight),
  so the expectation holds only at iteration 0. A single seed may exceed it.
- ``expected`` also needs a set of Byzantine devices that is uniform and independent of the allocation. Their messages
  may be arbitrary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byzcode.allocation import EMPTY
from byzcode.coding import ENCODERS
from byzcode.compression import COMPRESSORS
from byzcode.specs.last_part import LEVEL, mean_by_stretch, steps_within
from byzcode.specs.methods import METHODS
from byzcode.specs.quantities import lacking
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.theory.arrays import Floats
from byzcode.theory.arrays import floats as _floats
from byzcode.theory.constants import rule_constant
from byzcode.theory.expectations import Expected, compressed, expected_of, when_expected
from byzcode.theory.worst_case import allocation_error, coding, device_error, pairs_error

# --- the rule --------------------------------------------------------------------------------------------------------


def kappa_of(spec: RunSpec) -> float | None:
    """The robustness constant of a run's server: ||ghat - gbar_H||^2 <= kappa (dispersion of honest messages)^2.

    It is 0 for the mean of the honest messages, and for the plain mean without Byzantine devices. It is None if there
    is no constant: the rule or the pre-aggregator has none, there are more Byzantine devices than the rule tolerates,
    the server assumes another number of them or estimates it, or it does not aggregate messages.
    """
    server = METHODS[spec.method].server
    if server == "honest_mean":
        return 0.0
    if server != "rule" or spec.undefined is not None or spec.assumed_f != spec.f or spec.estimates:
        return None
    return rule_constant(spec.aggregation.name, spec.pre_aggregation.name, spec.answering, spec.f)


def is_exact(spec: RunSpec) -> bool:
    """Whether the server steps along the true gradient: it knows it, or decodes it and tolerates f liars."""
    method = METHODS[spec.method]
    if method.server != "decoder":
        return method.server == "true_gradient"
    return spec.undecodable is None


def rho_of(spec: RunSpec) -> float | None:
    """What compression adds to ||e||^2, as a multiple of ||grad F||^2: rho of section 2.3. None if it is not known.

    From 1 on, compression alone leaves the limit of ||grad F|| without a bound. Below 1 it has one, if a bound on
    betahat is known. For weights that sum to 1 it is at most 2 (kappa + 1/H) delta, and delta with a shared mask.
    """
    kappa, compressor, options = kappa_of(spec), COMPRESSORS[spec.compression.name], spec.compression.options
    if kappa is None or not compressor.unbiased:
        return None
    exact, delta = Expected(np.zeros(2), np.zeros(2)), compressor.delta(spec.dimension, **options)
    added = compressed(exact, delta, spec.honest, shared=compressor.shared(**options))
    return float(added.rho(kappa))


def rule_error(kappa: float, dispersion: ArrayLike, bias: ArrayLike) -> Floats:
    """||e|| <= sqrt(kappa) dispersion + bias, by the definition of kappa and the triangle inequality. Always holds.

    ``dispersion`` and ``bias`` are those of the honest messages as sent, after compression.
    """
    return _floats(np.sqrt(kappa) * _floats(dispersion) + _floats(bias))


# --- from the error to the result of training ------------------------------------------------------------------------


def mean_squared_gradient(
    first: ArrayLike, last: ArrayLike, steps: ArrayLike, step: ArrayLike, error: ArrayLike
) -> Floats:
    """L2: avg ||grad F||^2 <= 2 (F(T0) - F(T1)) / (eta (T1 - T0)) + avg ||e||^2 over T0 <= t < T1, if eta <= 1/L.

    ``first`` and ``last`` are the two losses, ``steps`` is T1 - T0, ``step`` is eta, ``error`` is the average of
    ||e||^2 or a bound on it. Holds whenever ``error`` does. With F(T1) >= F* this is the bound over a whole training.
    """
    return 2 * (_floats(first) - _floats(last)) / (_floats(step) * _floats(steps)) + _floats(error)


def excess_after(excess: ArrayLike, squared_error: ArrayLike, step: ArrayLike, strong_convexity: ArrayLike) -> Floats:
    """F10: F(t + 1) - F* <= (1 - eta mu) (F(t) - F*) + (eta / 2) ||e||^2, if eta <= 1/L. Always holds."""
    kept = 1 - _floats(step) * _floats(strong_convexity)
    return kept * _floats(excess) + 0.5 * _floats(step) * _floats(squared_error)


def excess_limit(squared_error: ArrayLike, strong_convexity: ArrayLike) -> Floats:
    """F10: limsup F - F* <= sup ||e||^2 / (2 mu); infinite for mu = 0."""
    error, mu = np.broadcast_arrays(_floats(squared_error), _floats(strong_convexity))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mu > 0, error / (2 * mu), np.inf)


# --- all bounds of a run ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bound:
    """A bound on the error of a run: ``error`` (R, n) at the recorded iterations, NaN where the bound does not apply.

    If it ``holds`` only in expectation, its square bounds E ||e||^2.
    """

    holds: Literal["always", "in expectation"]
    source: str
    error: Floats


def bounds(spec: RunSpec, measured: Mapping[Any, Any], assigned: NDArray[np.int32] | None = None) -> dict[str, Bound]:
    """All bounds that apply to a run, by name; empty if there is none.

    ``measured`` has arrays (R, n) under the names of :class:`byzcode.training.records.Measurements`: a mapping of its
    fields, or an open trajectory. ``assigned`` (R, N, S) is the allocation; by default it is drawn as for the run.
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
    applying = {"rule": Bound("always", "sqrt(kappa) dispersion + bias", rule_error(kappa, dispersion, bias))}
    weights = weights_of(spec, assigned)
    if COMPRESSORS[spec.compression.name].lossless:
        code = coding(weights)
        device, farthest, pair, spectral, missing = (
            part[:, None] for part in (code.device, code.farthest, code.pair, code.spectral, code.missing)
        )
        if code.averages.all():
            applying["device"] = Bound(
                "always", "(kappa + 1) ((M - r) / r) betahat^2", device_error(kappa, device, spread)
            )
            applying["pairs"] = Bound("always", "L3", pairs_error(kappa, pair, farthest, device, spread, largest))
        applying["allocation"] = Bound(
            "always",
            "(kappa + 1) sigma^2 M betahat^2 / H",
            allocation_error(kappa, spectral, missing, spec.honest, spread, gradient),
        )
    if (when := when_expected(spec)) != "never":
        expected = expected_of(spec, weights)
        over_time = Expected(expected.dispersion[:, None], expected.bias[:, None])
        error = np.sqrt(over_time.squared_error(kappa, spread, gradient))
        if when == "start":
            error[:, 1:] = np.nan
        applying["expected"] = Bound("in expectation", "section 2.3, F2 and F9", error)
    return applying


def weights_of(spec: RunSpec, assigned: NDArray[np.int32] | None = None) -> Floats:
    """The weights (R, N, M) of a run's devices before any permutation. ``assigned`` is as in :func:`bounds`."""
    lists = allocations.draw(spec.allocation_spec) if assigned is None else assigned
    encoder, options = ENCODERS[spec.encoding.name], spec.encoding.options
    weights = np.zeros((*lists.shape[:2], spec.subsets))
    for matrix, rows in zip(weights, lists, strict=True):
        device, slot = np.nonzero(rows != EMPTY)
        np.add.at(matrix, (device, rows[device, slot]), encoder(rows, spec.subsets, **options)[device, slot])
    return weights


def floor(spec: RunSpec, measured: Mapping[Any, Any], part: Fraction = LEVEL) -> Floats:
    """The mean of ||grad F||^2 over the steps of the last part of a run, (R,).

    It is NaN for a seed that ended early, and for all seeds if no step of that part is recorded.
    """
    return _Late.of(spec, part).mean(np.square(_floats(measured["gradient_norm"])))


def floor_bound(spec: RunSpec, measured: Mapping[Any, Any], error: Floats, part: Fraction = LEVEL) -> Floats:
    """The bound on :func:`floor`, (R,), that follows by L2 from the bound ``error`` (R, n) on the error.

    It is exact if every iteration is recorded; otherwise averages over the recorded iterations replace those over all.
    It is NaN if L2 does not apply: L is not known, the step exceeds 1/L or changes during training, or the server has
    momentum.
    """
    late = _Late.of(spec, part)
    loss = _floats(measured["loss"])
    known = lacking(spec, "smoothness") is None and spec.step_schedule.name == "constant" and not spec.momentum
    if not known or not late.stretches.size:
        return np.full(len(loss), np.nan)
    smoothness = _floats(measured["smoothness"])
    absolute = spec.step_unit == "absolute"
    step = np.full_like(smoothness, spec.step_size) if absolute else spec.step_size / smoothness
    too_long = step * smoothness > 1 if absolute else np.full(len(loss), spec.step_size > 1)
    first, steps = loss[:, late.places][:, 0], late.stretches.sum()
    bound = mean_squared_gradient(first, loss[:, -1], steps, step, late.mean(np.square(error)))
    return np.where(too_long, np.nan, bound)


@dataclass(frozen=True)
class _Late:
    """The records that begin a step of the last part of a training, and the number of steps that each represents."""

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
