"""Numbers whose squares are beyond the range of their type, in attacks, in what is recorded, and in whole runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from byzcode.attacks import ATTACKS, Threat
from byzcode.kernels.distances import lengths
from byzcode.problems.linear_regression import LinearRegression, linear_regression
from byzcode.randomness import Draws, Stream
from byzcode.storage import allocations
from byzcode.training.measures import Ledger, dispersion
from byzcode.training.server import Answer
from byzcode.training.status import Status
from byzcode.training.workers import train

#: Powers of two at which squares overflow or vanish, and the numbers themselves do not.
POWERS = {torch.float64: (-700, -540, 540, 900), torch.float32: (-100, -70, 70, 100)}
SCALES = [pytest.param(kind, power, id=f"{kind}-{power}") for kind, powers in POWERS.items() for power in powers]


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize(("dtype", "power"), SCALES)
def test_attacks_on_messages_of_any_size(name, dtype, power):
    """What is made of honest messages grows and shrinks with them, to the bit."""
    if name in ("gaussian", "constant", "infinite", "nan"):
        return  # have a size of their own
    messages = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 9, 4))).to(dtype)
    order = torch.arange(9).expand(2, 9)

    def sent(tensor):
        threat = Threat(
            liars=order[:, :2],
            honest=order[:, 2:],
            aggregate=lambda received: received.sort(dim=-2).values[..., 4, :],
            relabelled=lambda: -tensor,
            exclusive=lambda: tensor / 2,
        )
        options = {"evaluations": 4} if name.endswith("search") else {}
        return ATTACKS[name](
            tensor, threat, Draws([Stream(seed, "test") for seed in range(2)], 0, like=tensor), **options
        )

    np.testing.assert_array_equal((sent(messages * 2.0**power) * 2.0**-power).numpy(), sent(messages).numpy())


@pytest.mark.parametrize(("dtype", "power"), SCALES)
@pytest.mark.parametrize("samples", [1, 3])
def test_what_a_problem_measures_at_any_size(samples, dtype, power):
    """Heterogeneity of features, labels and so gradients that are multiplied by powers of two."""
    name = str(dtype).removeprefix("torch.")
    usual = linear_regression((0, 1), "cpu", name, subsets=7, dimension=4, samples_per_subset=samples)
    theta = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 4))).to(dtype)
    rest = usual.subsets, usual.optimum, usual.smoothness, usual.strong_convexity
    half = power // 2  # of the features: gradients have the whole
    scaled = LinearRegression(usual.features * 2.0**half, usual.labels * 2.0 ** (power - half), *rest)

    def measured(problem, residual):
        gradient = problem.gradient(residual)
        return [
            problem.heterogeneity(residual, gradient),
            problem.largest_heterogeneity(residual, gradient),
            lengths(gradient),
        ]

    residual = usual.forward(theta)
    for first, second in zip(
        measured(scaled, residual * 2.0 ** (power - half)), measured(usual, residual), strict=True
    ):
        assert first.isfinite().all()
        np.testing.assert_allclose(
            (first * 2.0**-power).numpy(), second.numpy(), rtol=1e-6 if name == "float32" else 1e-14
        )


@pytest.mark.parametrize(("dtype", "power"), SCALES)
def test_what_is_recorded_of_messages_of_any_size(dtype, power):
    messages = torch.from_numpy(np.random.default_rng(2).normal(size=(3, 5, 4))).to(dtype)
    usual = dispersion(messages, messages[:, 0])
    scaled = dispersion(messages * 2.0**power, messages[:, 0] * 2.0**power)
    for first, second in zip(usual, scaled, strict=True):
        np.testing.assert_allclose((second * 2.0**-power).numpy(), first.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("dtype", "power"), SCALES)
def test_a_decoding_error_is_one_at_any_size(dtype, power):
    gradient = torch.ones(2, 3, dtype=dtype) * 2.0**power
    ledger = Ledger(gradient)
    wrong = torch.stack([gradient[0], 2 * gradient[0]])
    ledger.decoded(Answer(wrong, torch.zeros(2, dtype=torch.bool)), gradient, lengths(gradient))
    assert ledger.totals()["decoding_errors"].tolist() == [0, 1]


def test_lengths_keep_what_is_not_finite():
    vectors = torch.tensor([[3e200, 4e200], [3e-200, 4e-200], [0, 0], [torch.inf, 1], [torch.nan, 1], [-torch.inf, 0]])
    got = lengths(vectors.double())
    exact = lengths(torch.tensor([[3e200, 4e200], [3e-200, 4e-200]], dtype=torch.float64))
    np.testing.assert_allclose(exact.numpy(), [5e200, 5e-200], rtol=1e-15)
    assert got[3] == got[5] == torch.inf
    assert got[4].isnan()


@pytest.mark.parametrize("rule", ["multi_krum", "krum", "bulyan", "median", "geometric_median", "norm_trimming"])
@pytest.mark.parametrize("before", ["none", "nnm", "clipping", "bucketing"])
def test_a_run_in_single_precision_with_huge_features(rule, before, make_spec):
    """Liars send NaN, and the squares of honest messages are beyond single precision: no lie is taken."""
    problem = {"subsets": 40, "dimension": 5, "feature_scale": 1e9, "sigma_h": 0.25}
    common = {"problem": problem, "devices": 20, "redundancy": 4, "aggregation": rule, "pre_aggregation": before}
    common |= {"attack": "nan", "byzantine": {"alpha": 0.05}, "iterations": 30, "record": {"step": 5}}
    single, double = (make_spec(**common, dtype=dtype) for dtype in ("float32", "float64"))
    got, want = (train(spec, allocations.draw(spec.allocation_spec)) for spec in (single, double))
    assert (got.status == Status.FINISHED).all()
    for name, array in got.arrays().items():
        assert np.isfinite(array).all(), name
    for name in ("heterogeneity", "largest_heterogeneity", "gradient_norm", "honest_dispersion"):
        np.testing.assert_allclose(getattr(got, name)[:, 0], getattr(want, name)[:, 0], rtol=1e-4)
    assert (got.loss[:, -1] < got.loss[:, 0]).all()
