"""Every entry of every table in a short training: the same bits alone and beside others, and no bound violated."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
import torch
from unit.tables import TABLES, cases, run_with, sizes_of, small_problem

from byzcode.allocation import ALLOCATIONS
from byzcode.coding import DECODERS, ENCODERS
from byzcode.errors import UserError
from byzcode.kernels import native
from byzcode.problems import PROBLEMS
from byzcode.problems.problem import EVERYTHING
from byzcode.schedules import SCHEDULES
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.studies.describe import describe
from byzcode.theory import bounds
from byzcode.training.batch import Part, assemble
from byzcode.training.loop import loop
from byzcode.training.records import join
from byzcode.training.workers import train, train_together

DEVICES, SUBSETS, DIMENSION = 20, 60, 7
COMMON = {"devices": DEVICES, "iterations": 10, "record": {"step": 1}, "seeds": [4, 0, 7]}
PROBLEM = {"name": "linear_regression", "subsets": SUBSETS, "dimension": DIMENSION}
LIARS = {"attack": "sign_flip", "byzantine": {"alpha": 0.1}}


def of_method(name, options):
    fixed = METHODS[name].fixed
    liars = {key: value for key, value in LIARS.items() if key not in fixed}
    return run_with(method=name, problem=PROBLEM, **COMMON, **liars)


def of_problem(name, options):
    """With a number of parameters that fills no cache line; or with twelve, which many numbers divide."""
    for dimension in (DIMENSION, 12):
        sizes = small_problem(name, SUBSETS, dimension)
        with suppress(ValueError, UserError):
            PROBLEMS[name]((0,), "cpu", "float64", **sizes, **options)
            break
    return run_with(method="cra_dl", problem={"name": name, **sizes, **options}, **COMMON, **LIARS)


def of_allocation(name, options):
    devices, subsets, redundancy = sizes_of(name)[0]
    values = {**COMMON, "devices": devices, "redundancy": redundancy, "problem": {**PROBLEM, "subsets": subsets}}
    return run_with(method="cra_dl", allocation={"name": name, **options}, **values, **LIARS)


def of_encoding(name, options):
    """With an allocation that the encoder serves. One that must be decoded is run with its method."""
    for allocation in ALLOCATIONS:
        with suppress(UserError, ValueError):
            chosen = {"allocation": allocation, "encoding": {"name": name, **options}}
            spec = run_with(method="cra_dl", problem=PROBLEM, **chosen, **COMMON, **LIARS)
            assigned = allocations.draw(spec.allocation_spec)[0]
            if not np.iscomplexobj(ENCODERS[name](assigned, SUBSETS, **options)):
                return spec
    results = [of_method(method, {}) for method in METHODS]
    return next(spec for spec in results if spec.encoding.name == name)


def of_decoder(name, options):
    results = [method for method, about in METHODS.items() if about.decoder == name]
    if not results:
        pytest.skip(f"no method has the decoder {name}")
    return of_method(results[0], {})


def of_vote(name, options):
    results = [method for method, about in METHODS.items() if about.vote == name]
    if not results:
        pytest.skip(f"no method has the vote {name}")
    return of_method(results[0], {})


def with_component(key):
    """Runs of a coded method with a component of a table."""

    def of(name, options):
        chosen = {**LIARS, key: {"name": name, **options}}
        return run_with(method="cra_dl", problem=PROBLEM, **COMMON, **chosen)

    return of


MAKERS = {
    "method": of_method,
    "problem": of_problem,
    "allocation": of_allocation,
    "encoding": of_encoding,
    "decoder": of_decoder,
    "vote": of_vote,
    **{
        key: with_component(key)
        for key in (
            *("compression", "attack", "pre_aggregation", "aggregation", "estimation"),
            *("absence", "step_schedule"),
        )
    },
}


def entries(*tables):
    """A parameter for each entry of some tables, by default of all, with each of its options that has a few values."""
    results = [
        pytest.param(key, name, options, id=f"{key}: {label}")
        for key in tables or TABLES
        for label, (name, options) in labelled(key).items()
    ]
    return pytest.mark.parametrize(("key", "name", "options"), results)


def labelled(key):
    table = TABLES[key]
    return {name: (name, {}) for name in table} if key in ("method", "decoder", "vote") else cases(table)


def test_there_are_runs_of_every_table():
    assert set(MAKERS) == set(TABLES)
    assert TABLES["decoder"] is DECODERS


@entries()
def test_a_run_is_described_and_is_read_again(key, name, options):
    spec = MAKERS[key](name, options)
    assert RunSpec.from_json(spec.canonical(), "again") == spec
    words = describe(spec)
    assert words.replace("\n", "").isprintable()
    unsaid = key in ("method", "decoder", "vote", "pre_aggregation", "estimation") or name in ("constant", "none")
    assert unsaid or name.replace("_", " ") in words


def test_a_description_has_all_digits_of_a_run():
    made = MAKERS["method"]("rba_dl", {}).model_dump(mode="json")
    spec = RunSpec.parse({**made, "step_size": 0.12345678, "byzantine": {"alpha": 0.20000001}}, "test")
    assert "steps of size 0.12345678 / L" in describe(spec)
    assert "alpha = 0.20000001," in describe(spec)


@entries()
def test_no_run_violates_a_bound(key, name, options):
    """On its error, the mean square of its gradients, and its excess loss."""
    spec = MAKERS[key](name, options)
    assigned = allocations.draw(spec.allocation_spec)
    measured = train(spec, assigned).arrays()
    size = measured["largest_heterogeneity"] + measured["gradient_norm"]
    rounding = 1e-11 * np.fmax.accumulate(size, axis=1)
    error = measured["aggregation_error"]
    for quantity, bound in bounds.bounds(spec, measured, assigned).items():
        if bound.holds == "always":
            assert not (error > bound.error * (1 + 1e-9) + rounding).any(), quantity
    if spec.problem_kind.knows < EVERYTHING:
        return
    schedule, steps = spec.step_schedule, range(spec.iterations)
    factors = [SCHEDULES[schedule.name](t, spec.iterations, **schedule.options) for t in steps]
    mu, step = measured["strong_convexity"][:, None], (spec.step_size / measured["smoothness"])[:, None] * factors
    excess = measured["excess_loss"]
    after = bounds.excess_after(excess[:, :-1], np.square(error[:, :-1]), step, mu)
    blur = 1e-12 * np.fmax.accumulate(np.abs(measured["loss"]), axis=1)[:, 1:]
    assert not (excess[:, 1:] > after * (1 + 1e-9) + blur).any()


def assert_same(measured, expected):
    assert measured.arrays().keys() == expected.arrays().keys()
    for quantity, value in expected.arrays().items():
        np.testing.assert_array_equal(measured.arrays()[quantity], value, err_msg=quantity)


#: The other tables are in the tests of test_engine.py.
parts = entries("method", "problem", "allocation", "encoding", "decoder", "vote", "absence")


@parts
def test_a_batch_of_seeds_has_the_bits_of_seed_by_seed(key, name, options):
    spec = MAKERS[key](name, options)
    assigned = allocations.draw(spec.allocation_spec)
    alone = [spec.model_copy(update={"seeds": (seed,)}) for seed in spec.seeds]
    apart = join(train(each, assigned[place : place + 1]) for place, each in enumerate(alone))
    assert_same(train_together([spec], [assigned], device="cpu")[0], apart)


@parts
def test_compiled_kernels_change_no_bit(key, name, options, monkeypatch):
    spec = MAKERS[key](name, options)
    assigned = allocations.draw(spec.allocation_spec)
    compiled = train(spec, assigned)
    monkeypatch.setattr(native, "_functions", lambda _: {})
    assert_same(train(spec, assigned), compiled)


@parts
def test_the_loop_waits_for_no_device(key, name, options):
    """On torch's device "meta" there are no values: who asks for one fails."""
    spec = MAKERS[key](name, options)
    assigned = allocations.draw(spec.allocation_spec)
    with torch.inference_mode():
        loop(assemble([Part(spec, spec.seeds, assigned)], "meta"), lambda _: None)


@parts
def test_single_precision_ends_near_double(key, name, options):
    """Few steps, so that rounding has no time to grow; short ones with networks: the slope of max(0, .) jumps."""
    spec = MAKERS[key](name, options)
    if "smoothness" not in spec.problem_kind.knows:
        spec = spec.model_copy(update={"step_size": 0.05})
    assigned = allocations.draw(spec.allocation_spec)
    single = spec.model_copy(update={"dtype": "float32"})
    fine, rough = vars(train(spec, assigned)), vars(train(single, assigned))
    scale = np.abs(fine["loss"]).max()
    assert np.abs(rough["loss"] - fine["loss"]).max() <= 1e-3 * scale
