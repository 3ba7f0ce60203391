"""A server that is given another number of liars than there are."""

from __future__ import annotations

import numpy as np
import pytest

from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.theory.bounds import kappa_of
from byzcode.training.workers import train

SMALL = {"name": "linear_regression", "subsets": 20, "dimension": 5}
BASE = {"problem": SMALL, "devices": 20, "iterations": 12, "seeds": 3, "record": {"step": 3}}
RULES = ["trimmed_mean", "krum", "phocas", "geometric_median"]


def loss(**changes):
    spec = RunSpec.model_validate({"method": "rba_dl", "aggregation": "trimmed_mean"} | BASE | changes)
    return train(spec, allocations.draw(spec.allocation_spec)).loss


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("before", ["none", "nnm"])
def test_a_right_assumption_changes_nothing(rule, before):
    run = {"aggregation": rule, "pre_aggregation": before, "attack": "sign_flip", "byzantine": {"alpha": 0.2}}
    np.testing.assert_array_equal(loss(**run), loss(**run, assumed_alpha=0.2))


@pytest.mark.parametrize("rule", RULES)
def test_the_server_removes_as_many_as_it_assumes(rule):
    """If no device lies in either run, only the assumption decides what the server removes."""
    nobody = loss(aggregation=rule, byzantine={"alpha": 0.0}, assumed_alpha=0.3)
    honest = loss(aggregation=rule, byzantine={"alpha": 0.3}, attack="none")
    np.testing.assert_array_equal(nobody, honest)


def test_a_wrong_assumption_matters():
    run = {"attack": "sign_flip", "byzantine": {"alpha": 0.2}}
    losses = [loss(**run, assumed_alpha=assumed)[:, -1].mean() for assumed in (0.0, 0.1, 0.2)]
    assert losses[0] > losses[1] > losses[2]


def test_a_wrong_assumption_has_no_robustness_constant():
    run = {"method": "rba_dl", "aggregation": "trimmed_mean", "byzantine": {"alpha": 0.2}} | BASE
    known, right, wrong = (
        kappa_of(RunSpec.model_validate(run | more)) for more in ({}, {"assumed_alpha": 0.2}, {"assumed_alpha": 0.3})
    )
    assert known == right
    assert known is not None
    assert wrong is None
