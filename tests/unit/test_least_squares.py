"""Linear regression on a data set: against numpy and scikit-learn, with subsets of equal and of unequal sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from byzcode.data import DATA_SETS
from byzcode.errors import UserError
from byzcode.kernels.gather import Code
from byzcode.problems import PROBLEMS
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.workers import train, train_together

BUILD = PROBLEMS["least_squares"]
UNEQUAL = {"name": "dirichlet", "a": 0.3, "of": "classes"}


def built(seeds=(0, 5), **options):
    return BUILD(seeds, "cpu", "float64", **{"subsets": 8, "partition": "by_label", **options})


def spec_of(**problem):
    values = {"method": "cra_dl", "redundancy": 3, "aggregation": "median", "devices": 6, "attack": "sign_flip"}
    problem = {"name": "least_squares", "subsets": 8, **problem}
    return RunSpec.parse({**values, "problem": problem, "iterations": 6, "seeds": [3, 0, 8]}, "test")


def test_features_are_standardised_and_the_last_one_is_the_intercept():
    features, labels = built().features, built().labels
    assert features.shape == (2, 400, 11)
    assert torch.allclose(features.mean(dim=1), torch.eye(11, dtype=torch.float64)[-1], atol=1e-12)
    assert torch.allclose(features[..., :-1].square().mean(dim=1), torch.ones(2, 10, dtype=torch.float64))
    assert torch.allclose(labels.square().mean(dim=1), torch.ones(2, dtype=torch.float64))


def test_the_optimum_is_that_of_scikit_learn_on_the_examples_of_the_set():
    training = DATA_SETS["diabetes"].load().training
    known = {(*row, target) for row, target in zip(*load_diabetes(return_X_y=True, scaled=False), strict=True)}
    assert {(*row, target) for row, target in zip(*training, strict=True)} <= known
    targets = StandardScaler().fit_transform(training.labels[:, None])[:, 0]
    solved = LinearRegression().fit(StandardScaler().fit_transform(training.features), targets)
    for seed in range(2):
        np.testing.assert_allclose(built().optimum[seed, :-1], solved.coef_, rtol=1e-9)
        assert float(built().optimum[seed, -1]) == pytest.approx(solved.intercept_, abs=1e-12)


def test_smoothness_and_strong_convexity_are_the_extreme_eigenvalues_of_the_hessian():
    problem = built((1,))
    values = np.linalg.eigvalsh(problem.features[0].T @ problem.features[0] / 400)
    assert float(problem.smoothness) == pytest.approx(values[-1], rel=1e-12)
    assert float(problem.strong_convexity) == pytest.approx(values[0], rel=1e-9)


@pytest.mark.parametrize("data", DATA_SETS)
def test_it_takes_each_data_set_with_real_targets(data):
    """Those that need files only if these are there."""
    if DATA_SETS[data].classes:
        with pytest.raises(UserError, match=rf"problem\.data = '{data}': allowed: diabetes, diamonds"):
            spec_of(data=data)
        return
    try:
        DATA_SETS[data].load()
    except UserError as error:
        pytest.skip(str(error))
    problem = built((0,), data=data)
    gradient = problem.gradient(problem.forward(problem.optimum))
    assert float(gradient.norm()) <= 1e-12 * float(problem.smoothness)


@pytest.mark.parametrize("partition", ["by_label", "iid", UNEQUAL])
def test_subsets_follow_autograd(partition):
    problem = built(partition=partition, subsets=6)
    theta = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 11)))
    forward = problem.forward(theta)
    assigned = torch.arange(6).view(1, 6, 1).expand(2, 6, 1).contiguous()
    sent = problem.coded_gradients(forward, Code(assigned, torch.ones(2, 6, 1, dtype=torch.float64)))
    for seed in range(2):
        sizes = problem.sizes[seed].tolist()
        assert sum(sizes) == 400
        for subset, rows in enumerate(torch.arange(400).split(sizes)):
            weights = theta[seed].clone().requires_grad_()
            residual = problem.features[seed, rows] @ weights - problem.labels[seed, rows]
            (6 / 800 * residual.square().sum()).backward()
            np.testing.assert_allclose(sent[seed, subset], weights.grad, rtol=1e-10, atol=1e-13)
    gradient = problem.gradient(forward)
    np.testing.assert_allclose(sent.mean(dim=1), gradient, rtol=1e-10, atol=1e-13)
    away = (sent - gradient.unsqueeze(1)).norm(dim=-1)
    np.testing.assert_allclose(problem.heterogeneity(forward, gradient), away.square().mean(dim=-1).sqrt(), rtol=1e-9)
    np.testing.assert_allclose(problem.largest_heterogeneity(forward, gradient), away.amax(dim=-1), rtol=1e-9)


def test_a_constant_feature_counts_for_nothing():
    from byzcode.problems.least_squares import _unit_spread

    assert np.array_equal(_unit_spread(np.full((3, 1), 0.1)), np.zeros((3, 1)))


def test_a_run_has_the_same_bits_in_other_batches_and_descends():
    spec = spec_of(partition=UNEQUAL)
    assigned = allocations.draw(spec.allocation_spec)
    together = train(spec, assigned).arrays()
    for other in (train(spec, assigned, threads=2), train_together([spec], [assigned], device="cpu")[0]):
        for name, array in other.arrays().items():
            assert array.tobytes() == together[name].tobytes(), name
    assert (together["loss"][:, -1] < together["loss"][:, 0]).all()


@pytest.mark.parametrize(("name", "data"), [("least_squares", "digits"), ("softmax_regression", "diabetes")])
def test_a_data_set_of_the_other_kind_is_refused(name, data):
    with pytest.raises(UserError, match=rf"problem\.data = '{data}': "):
        spec_of(name=name, data=data)
