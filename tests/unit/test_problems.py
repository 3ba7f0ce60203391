"""Every problem of the table in a batch: a run beside runs with other options has the bits that it has alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from unit.tables import small_problem

from byzcode.errors import UserError
from byzcode.problems import ALONG_RUNS, PROBLEMS, joined
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.batch import _ALONG_RUNS, Part, assemble, shape_of
from byzcode.training.workers import train, train_together


def small(problem, **options):
    """So small that it is quickly trained."""
    return small_problem(problem, 16, 8, **options)


def spec_of(name, **changes):
    values = {"method": "cra_dl", "devices": 8, "redundancy": 4, "aggregation": "median", "attack": "sign_flip"}
    values |= {"problem": {"name": name, **small(name)}, "iterations": 6, "record": {"step": 2}, "seeds": [1, 4]}
    return RunSpec.parse(values | {"byzantine": {"alpha": 0.25}} | changes, "test")


def with_option(problem, name, value):
    return spec_of(problem, problem={"name": problem, **small(problem, **{name: value})})


def real_options(problem):
    """Its options that are real numbers: name, a value other than the default."""
    spec = spec_of(problem)
    for name, value in spec.problem.options.items():
        if isinstance(value, float):
            for changed in (value + 0.5, value * 2, value / 2, value + 1):
                try:
                    if with_option(problem, name, changed).problem.options[name] != value:
                        yield name, changed
                        break
                except (UserError, ValidationError):
                    continue


REAL_OPTIONS = [(problem, *option) for problem in PROBLEMS for option in real_options(problem)]


def may_differ(spec):
    return {name for name, field in type(spec.problem).model_fields.items() if ALONG_RUNS in field.metadata}


def assert_as_alone(specs):
    assigned = [allocations.draw(spec.allocation_spec) for spec in specs]
    together = train_together(specs, assigned, device="cpu")
    for spec, lists, beside in zip(specs, assigned, together, strict=True):
        alone = train(spec, lists)
        assert beside.arrays().keys() == alone.arrays().keys()
        for name, array in alone.arrays().items():
            np.testing.assert_array_equal(beside.arrays()[name], array, err_msg=name)


@pytest.mark.parametrize(("problem", "option", "value"), REAL_OPTIONS)
def test_runs_with_different_real_options(problem, option, value):
    first, second = spec_of(problem), with_option(problem, option, value)
    if option in may_differ(first):
        assert shape_of(first) == shape_of(second)
        assert_as_alone([first, second])
        assert_as_alone([second, first, second])
    else:
        assert shape_of(first) != shape_of(second)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_runs_that_differ_in_all_that_may(problem):
    first, changed = spec_of(problem), {name: value for p, name, value in REAL_OPTIONS if p == problem}
    marked = {name: value for name, value in changed.items() if name in may_differ(first)}
    assert_as_alone([first, spec_of(problem, problem={"name": problem, **small(problem, **marked)}, seeds=[2])])


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_batch_of_parts_is_the_problem_of_all_their_seeds(problem):
    seeds = (3, 0, 7)
    joint = PROBLEMS[problem](seeds, "cpu", "float64", **small(problem))
    parts = joined([PROBLEMS[problem]((seed,), "cpu", "float64", **small(problem)) for seed in seeds])
    for name in (field.name for field in fields(joint) if field.init):
        first, second = getattr(joint, name), getattr(parts, name)
        assert torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


# --- problems that would give wrong numbers ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scaled:
    """One whose option is a number, and so that of all runs."""

    optimum: torch.Tensor
    scale: float


class Loose:
    def __init__(self, optimum, scale):
        self.optimum, self.scale = optimum, scale


@dataclass(frozen=True, eq=False)
class Hidden:
    optimum: torch.Tensor

    def hide(self, scale):
        object.__setattr__(self, "scale", scale)
        return self


@dataclass
class Thawed:
    optimum: torch.Tensor


def test_a_number_must_be_the_same_in_all_runs():
    place = torch.zeros(2, 3)
    assert joined([Scaled(place, 2.0), Scaled(place, 2.0)]).optimum.shape == (4, 3)
    with pytest.raises(ValueError, match="scale differs among the runs"):
        joined([Scaled(place, 2.0), Scaled(place, 3.0)])


@pytest.mark.parametrize("values", [(np.ones(2), np.ones(2)), (torch.ones(1), 1.0), (1, True), (1, 1.0)])
def test_what_cannot_be_told_to_be_the_same_is_refused(values):
    with pytest.raises(ValueError, match="scale differs among the runs"):
        joined([Scaled(torch.zeros(2, 3), value) for value in values])


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda scale: Loose(torch.zeros(2, 3), scale), "must be a frozen dataclass"),
        (lambda scale: Thawed(torch.zeros(2, 3)), "must be a frozen dataclass"),
        (lambda scale: Hidden(torch.zeros(2, 3)).hide(scale), "has attributes that are not fields: scale"),
    ],
)
def test_a_problem_that_may_hide_an_option_is_refused(made, reason, number):
    """Also where it is alone: it would be found out only when it meets another."""
    with pytest.raises(TypeError, match=reason):
        joined([made(float(scale)) for scale in range(number)])


# --- the other fields of a run ----------------------------------------------------------------------------------------


def test_each_field_of_a_run_is_in_its_shape_or_lies_along_runs():
    spec = spec_of("linear_regression")
    shape, values = json.loads(shape_of(spec)), spec.model_dump(mode="json")
    assert set(RunSpec.model_fields) >= _ALONG_RUNS
    for name in set(RunSpec.model_fields) - _ALONG_RUNS - {"problem"}:
        assert shape[name] == values[name], name
    assert shape["problem"] == {k: v for k, v in values["problem"].items() if k not in may_differ(spec)}


DIFFERENT = {
    "seeds": [{"seeds": [1]}, {"seeds": [5, 2, 9]}],
    "method": [{"method": "cra_dl"}, {"method": "cra_dl_corrected"}],
    "allocation": [{"allocation": "random"}, {"allocation": "cyclic"}],
    "encoding": [{"method": "lad", "encoding": "uniform"}, {"method": "lad", "encoding": "replication"}],
    "step_size": [{"step_size": 0.5}, {"step_size": 0.1}],
    "step_unit": [{"step_unit": "1/L"}, {"step_unit": "absolute"}],
}


@pytest.mark.parametrize("name", sorted(_ALONG_RUNS))
def test_runs_that_differ_in_what_lies_along_runs(name):
    specs = [spec_of("linear_regression", **changes) for changes in DIFFERENT[name]]
    assert specs[0].run_id != specs[1].run_id
    assert shape_of(specs[0]) == shape_of(specs[1])
    assert_as_alone(specs)


def test_runs_of_different_shapes_are_no_batch():
    specs = [spec_of("linear_regression"), spec_of("linear_regression", message_bits=16)]
    with pytest.raises(ValueError, match="different shapes"):
        assemble([Part(spec, spec.seeds, allocations.draw(spec.allocation_spec)) for spec in specs], "cpu")
