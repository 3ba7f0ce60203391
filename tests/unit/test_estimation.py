"""Estimators of f: right where the answer is known, and independent of what they must not depend on."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from byzcode.estimation import ESTIMATORS
from byzcode.estimation.estimator import most
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.workers import train

NAMES = [name for name, entry in ESTIMATORS.items() if not entry.idle]
N, D = 40, 30


def messages(f, away=0.0, runs=1, seed=0, devices=N):
    """Normal messages of which the first f are moved by ``away`` times sqrt(2 D) along one direction."""
    values = torch.from_numpy(np.random.default_rng(seed).standard_normal((runs, devices, D)))
    values[:, :f, 0] += away * (2 * D) ** 0.5
    return values


def estimate(name, values):
    return ESTIMATORS[name].count(ESTIMATORS[name](values)).tolist()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("f", [1, 3, 8, 14])
def test_lies_far_away_are_counted(name, f):
    assert estimate(name, messages(f, 20.0, runs=5)) == [f] * 5


@pytest.mark.parametrize("name", ["largest_gap", "two_groups"])
@pytest.mark.parametrize("f", [17, 19])
def test_nearly_half_are_counted(name, f):
    assert estimate(name, messages(f, 50.0, runs=5)) == [f] * 5


@pytest.mark.parametrize("name", NAMES)
def test_without_lies_few_are_suspect(name):
    estimates = estimate(name, messages(0, runs=200))
    assert np.mean(estimates) < 0.5
    assert max(estimates) <= 4


@pytest.mark.parametrize("name", NAMES)
def test_more_than_a_minority_is_never_estimated(name):
    for f in range(N + 1):
        assert 0 <= estimate(name, messages(f, 50.0))[0] <= most(N)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("devices", [1, 2, 3, 4])
def test_few_devices(name, devices):
    assert 0 <= estimate(name, messages(0, devices=devices))[0] <= most(devices)


@pytest.mark.parametrize("name", NAMES)
def test_order_place_and_size_do_not_matter(name):
    values = messages(6, 3.0, runs=20)
    mixed = values[:, torch.randperm(N, generator=torch.Generator().manual_seed(0))]
    expected = estimate(name, values)
    assert estimate(name, mixed) == expected
    assert estimate(name, values + 8.0) == expected
    assert estimate(name, values * 2.0**20) == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_run_has_the_same_estimate_alone_and_in_a_batch(name):
    values = messages(6, 1.0, runs=12)
    assert estimate(name, values) == [estimate(name, values[run : run + 1])[0] for run in range(12)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lie", [np.inf, -np.inf, np.nan, 1e308, 1e200])
def test_hostile_messages_are_counted(name, lie):
    values = messages(0)
    values[:, :5] = lie
    assert estimate(name, values) == [5]


@pytest.mark.parametrize("name", NAMES)
def test_equal_messages(name):
    assert estimate(name, torch.ones(1, N, D)) == [0]


def test_memory_finds_lies_that_a_single_iteration_does_not():
    entry, f = ESTIMATORS["remembered_scores"], 8
    scores = [entry(messages(f, 0.5, seed=seed)) for seed in range(100)]
    first = [entry.count(each).item() for each in scores]
    assert np.mean(first) < 1
    assert entry.count(sum(scores) / len(scores)).item() == f


# --- in training -----------------------------------------------------------------------------------------------------

SMALL = {"name": "linear_regression", "subsets": 20, "dimension": 5}
RUN = {
    "method": "rba_dl",
    "aggregation": "trimmed_mean",
    "problem": SMALL,
    "devices": 20,
    "iterations": 10,
    "seeds": 4,
    "record": {"step": 2},
    "attack": {"name": "gaussian", "scale": 1e6},
    "byzantine": {"alpha": 0.2},
}


def trained(**changes):
    spec = RunSpec.model_validate(RUN | changes)
    return train(spec, allocations.draw(spec.allocation_spec))


@pytest.mark.parametrize("name", ["largest_gap", "two_groups"])
@pytest.mark.parametrize("before", ["none", "nnm", "bucketing"])
def test_a_right_estimate_is_as_good_as_knowing_f(name, before):
    measured = trained(estimation=name, pre_aggregation=before)
    assert (measured.estimated_f == 4).all()
    np.testing.assert_array_equal(measured.loss, trained(pre_aggregation=before).loss)


@pytest.mark.parametrize("name", ["near_scores", "remembered_scores"])
def test_scores_find_persistent_liars(name):
    """Few honest messages in five dimensions are taken for lies, too; the rule then trims a little more."""
    measured = trained(estimation=name, byzantine={"alpha": 0.2, "identities": "persistent"})
    assert (measured.estimated_f >= 4).all()
    assert measured.estimated_f.mean() < 6


def test_runs_of_a_batch_have_estimates_of_their_own():
    """With weak lies the estimates differ, and each seed has the same result as alone."""
    weak = {"attack": "sign_flip", "estimation": "near_scores", "pre_aggregation": "bucketing"}
    together = trained(**weak)
    assert len(np.unique(together.estimated_f)) > 1
    for seed in range(4):
        alone = trained(**weak, seeds=[seed])
        np.testing.assert_array_equal(alone.loss[0], together.loss[seed])
        np.testing.assert_array_equal(alone.estimated_f[0], together.estimated_f[seed])


def test_an_attack_that_searches_leaves_no_memory():
    """The trials of an attack are not remembered: estimates are those of a loop that sees only what was sent."""
    seen = trained(
        attack="ipm_search", estimation="remembered_scores", byzantine={"alpha": 0.2, "identities": "persistent"}
    )
    assert np.isfinite(seen.loss).all()
    assert (seen.estimated_f <= most(20)).all()


def test_what_is_counted_is_the_mean_over_all_iterations_so_far(monkeypatch):
    suspicions, counted = iter(range(100)), []

    def count(means):
        counted.append(means[0, 0].item())
        return torch.zeros(len(means), dtype=torch.int64)

    module = sys.modules[ESTIMATORS.module("remembered_scores")]
    entry = replace(
        module.ENTRY, function=lambda values: torch.full_like(values[..., 0], next(suspicions)), count=count
    )
    monkeypatch.setattr(module, "ENTRY", entry)
    trained(estimation="remembered_scores", seeds=1, attack="none")
    assert counted == [iteration / 2 for iteration in range(11)]


def test_a_run_that_is_given_f_has_no_estimates():
    assert trained().estimated_f is None
