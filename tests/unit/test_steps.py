"""The step of a run: its unit, schedule and momentum. None changes the identity of a run that does not name it."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from byzcode.errors import UserError
from byzcode.problems import PROBLEMS, softmax_regression
from byzcode.schedules import SCHEDULES
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.studies.layers import MODELS
from byzcode.studies.plan import load_plan
from byzcode.theory.bounds import bounds, floor_bound
from byzcode.training.workers import train

PROBLEM = {"name": "linear_regression", "subsets": 30, "dimension": 4}


def spec_of(**changes):
    values = {"method": "gradient_descent", "devices": 6, "problem": PROBLEM, "iterations": 10, "record": {"step": 1}}
    return RunSpec.parse({**values, "seeds": [2], **changes}, "test")


def trained(spec):
    return train(spec, allocations.draw(spec.allocation_spec))


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("constant", {}, [1, 1, 1, 1, 1]),
        ("inverse_time", {"decay": 1.0}, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
        ("cosine", {}, [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0]),
        ("cosine", {"least": 0.5}, [1, 0.75 + math.sqrt(0.5) / 4, 0.75, 0.75 - math.sqrt(0.5) / 4, 0.5]),
        ("steps", {"every": 2, "factor": 0.1}, [1, 1, 0.1, 0.1, 0.01]),
    ],
)
def test_schedules_by_hand(name, options, expected):
    assert [SCHEDULES[name](t, 4, **options) for t in range(5)] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_begins_at_1_and_never_rises(name):
    factors = [SCHEDULES[name](t, 1000) for t in range(1001)]
    assert factors[0] == 1
    assert all(0 <= after <= before for before, after in itertools.pairwise(factors))


@pytest.mark.parametrize("name", SCHEDULES)
def test_gradient_descent_by_hand_with_every_schedule(name):
    spec = spec_of(step_schedule=name)
    problem = PROBLEMS["linear_regression"]((2,), "cpu", "float64", subsets=30, dimension=4)
    features, labels = problem.features[0].numpy(), problem.labels[0].numpy()
    theta, losses = np.zeros(4), []
    for t in range(11):
        residual = features @ theta - labels
        losses.append(0.5 * np.mean(residual**2))
        theta = theta - 0.5 / float(problem.smoothness) * SCHEDULES[name](t, 10) * features.T @ residual / 30
    np.testing.assert_allclose(trained(spec).loss[0], losses, rtol=1e-12)


@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_gradient_descent_by_hand_with_momentum(beta):
    spec = spec_of(momentum=beta, step_schedule="cosine")
    problem = PROBLEMS["linear_regression"]((2,), "cpu", "float64", subsets=30, dimension=4)
    features, labels = problem.features[0].numpy(), problem.labels[0].numpy()
    theta, mean, losses = np.zeros(4), np.zeros(4), []
    for t in range(11):
        residual = features @ theta - labels
        losses.append(0.5 * np.mean(residual**2))
        mean = beta * mean + (1 - beta) * features.T @ residual / 30
        theta = theta - 0.5 / float(problem.smoothness) * SCHEDULES["cosine"](t, 10) * mean
    np.testing.assert_allclose(trained(spec).loss[0], losses, rtol=1e-12)


def test_an_absolute_step_is_the_relative_one_times_l():
    smoothness = float(trained(spec_of()).smoothness[0])
    relative, absolute = spec_of(), spec_of(step_unit="absolute", step_size=0.5 / smoothness)
    np.testing.assert_allclose(trained(absolute).loss, trained(relative).loss, rtol=1e-12)


def test_what_every_run_once_was_is_not_in_its_identity():
    plain, explicit = spec_of(), spec_of(step_unit="1/L", step_schedule={"name": "constant"}, momentum=0.0)
    assert plain.canonical() == explicit.canonical()
    assert "step_unit" not in plain.canonical()
    assert "step_schedule" not in plain.canonical()
    assert "momentum" not in plain.canonical()
    changes = [{"step_unit": "absolute"}, {"step_schedule": "cosine"}, {"step_schedule": "steps"}, {"momentum": 0.9}]
    changed = [spec_of(**change) for change in changes]
    assert len({spec.run_id for spec in (plain, *changed)}) == 5
    for spec in changed:
        assert RunSpec.from_json(spec.canonical(), "test") == spec


ADDED = [
    (head, name, option) for head, table in COMPONENTS.items() for name in table for option in sorted(table[name].added)
]


@pytest.mark.parametrize(("head", "name", "option"), ADDED)
def test_an_added_option_changes_no_identity_at_its_default(head, name, option):
    default = MODELS[head, name].model_fields[option].default
    plain, said = (spec_of(method="ma", **{head: value}) for value in (name, {"name": name, option: default}))
    assert plain.canonical() == said.canonical()
    assert option not in json.loads(plain.canonical())[head]


def test_another_value_of_an_added_option_is_another_run():
    plain = spec_of(method="ma", attack="gaussian")
    changed = [
        spec_of(method="ma", attack={"name": "gaussian", "shared": True}),
        spec_of(method="ma", attack={"name": "gaussian", "around": "honest_mean"}),
    ]
    assert len({spec.run_id for spec in (plain, *changed)}) == 3
    for spec in changed:
        assert RunSpec.from_json(spec.canonical(), "test") == spec


def test_a_run_from_before_the_options_were_added_keeps_its_id():
    plan = load_plan({"studies": ["config/studies/cra-b.yaml"]})
    gaussian = {run for run, spec in plan.runs.items() if spec.attack.name == "gaussian"}
    assert gaussian > {"d52020ee2d3e", "21e1a32a9159", "867c99c9f4cc"}


@pytest.fixture
def unknowing(monkeypatch):
    """Softmax regression that knows nothing of its loss."""
    monkeypatch.setattr(softmax_regression, "ENTRY", replace(softmax_regression.ENTRY, knows=frozenset()))
    return {"name": "softmax_regression", "subsets": 12}


def test_without_smoothness_a_step_is_absolute(unknowing):
    spec = spec_of(problem=unknowing)
    assert spec.step_unit == "absolute"
    assert '"step_unit":"absolute"' in spec.canonical()
    with pytest.raises(UserError, match=r"step_unit = '1/L': problem softmax_regression does not know its smoothness"):
        spec_of(problem=unknowing, step_unit="1/L")


def test_a_run_without_constants_is_trained_and_bounded_but_for_its_floor(unknowing):
    spec = spec_of(problem=unknowing, method="rba_dl", aggregation="median", step_size=0.1)
    measured = trained(spec)
    assert measured.loss[0, -1] < measured.loss[0, 0]
    assert measured.smoothness is measured.strong_convexity is measured.excess_loss is None
    arrays = measured.arrays()
    for bound in bounds(spec, arrays).values():
        assert np.isnan(floor_bound(spec, arrays, bound.error)).all()
        assert (arrays["aggregation_error"] <= bound.error * (1 + 1e-9) + 1e-12).all() or bound.holds != "always"


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({}, True),
        ({"step_size": 1.5}, False),
        ({"step_schedule": "cosine"}, False),
        ({"momentum": 0.5}, False),
        ({"step_unit": "absolute", "step_size": 1e-3}, True),
        ({"step_unit": "absolute", "step_size": 10.0}, False),
    ],
)
def test_a_floor_is_bounded_where_a_constant_step_without_momentum_is_at_most_1_over_l(changes, known):
    spec = spec_of(**changes)
    arrays = trained(spec).arrays()
    bound = floor_bound(spec, arrays, np.zeros_like(arrays["loss"]))
    assert np.isfinite(bound).all() == known
