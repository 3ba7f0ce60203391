"""Minibatches: what is drawn, that gradients of a draw are those of its examples, and that exact codes stay exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from byzcode.coding import DECODERS, ENCODERS
from byzcode.data import DATA_SETS
from byzcode.errors import UserError
from byzcode.problems import PROBLEMS, minibatch
from byzcode.problems.minibatches import draw, streams
from byzcode.problems.on_data import divisions
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.training.devices import Devices, messages
from byzcode.training.iterate import Iterate
from byzcode.training.workers import train, train_together

SEEDS = (0, 5)
SUBSETS = 30
UNEQUAL = {"name": "dirichlet", "a": 0.3, "of": "classes"}

#: The problems that draw minibatches, each with few parameters.
OPTIONS = {
    "softmax_regression": {"ridge": 0.1},
    "mlp": {"hidden": (5,)},
    "cnn": {"hidden": 4},
    "module": {},
    "least_squares": {},
}
every = pytest.mark.parametrize("name", OPTIONS)


def problem_of(name, count, **options):
    known = {"subsets": SUBSETS, **OPTIONS[name], **options, "minibatch": count}
    return PROBLEMS[name](SEEDS, "cpu", "float64", **known)


def iterate(problem):
    return problem.start() + 0.1 * torch.from_numpy(np.random.default_rng(1).standard_normal(problem.start().shape))


def gradients(problem, theta):
    """The gradients of all subsets, (R, M, D): the messages of devices that hold one subset each."""
    alone = np.arange(SUBSETS)[None, :, None].repeat(len(theta), axis=0).astype(np.int32)
    devices = Devices(theta, alone, np.ones_like(alone, dtype=float), SEEDS, SUBSETS, assignment="fixed")
    return messages(Iterate(problem, theta), devices.codes(0))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 12), st.integers(0, 5))
def test_a_draw_has_as_many_examples_of_each_subset(sizes, count, iteration):
    drawn = draw(streams(torch.tensor([3])), torch.tensor([sizes]), count, iteration)
    assert drawn.sizes.tolist() == [[count] * len(sizes)]
    begin = 0
    for size, own in zip(sizes, drawn.places[0].numpy().reshape(-1, count), strict=True):
        assert (np.diff(own) >= 0).all()
        times = np.bincount(own - begin, minlength=size)
        assert len(times) == size  # none of another subset
        assert set(times.tolist()) <= {count // size, -(-count // size)}
        begin += size
    np.testing.assert_allclose(drawn.shares[0], np.array(sizes) * len(sizes) / sum(sizes), rtol=1e-15)


def test_a_draw_depends_on_seed_and_iteration_only():
    sizes = torch.tensor([[4, 7, 3], [5, 5, 4]])
    both = draw(streams(torch.tensor([1, 2])), sizes, 3, 8)
    for run, seed in enumerate((1, 2)):
        alone = draw(streams(torch.tensor([seed])), sizes[run : run + 1], 3, 8)
        np.testing.assert_array_equal(alone.places[0], both.places[run])
    assert (draw(streams(torch.tensor([1])), sizes[:1], 3, 9).places[0] != both.places[0]).any()


def test_every_example_is_drawn_equally_often():
    """Also in a subset with fewer examples than are drawn; tolerance 5 sigma."""
    sizes, count, draws = torch.tensor([[4, 2, 7]]), 3, 2000
    generators = streams(torch.tensor([0]))
    places = [draw(generators, sizes, count, iteration).places[0].numpy() for iteration in range(draws)]
    times = np.bincount(np.concatenate(places), minlength=13)
    expected = np.repeat(count / np.array([4, 2, 7]), [4, 2, 7]) * draws
    assert (np.abs(times - expected) <= 5 * np.sqrt(expected)).all()


@every
def test_without_minibatches_a_problem_draws_itself(name):
    problem = problem_of(name, None)
    assert minibatch(problem, 3) is problem


@every
@pytest.mark.parametrize("partition", ["iid", UNEQUAL])
def test_the_gradient_of_a_drawn_subset_is_unbiased(name, partition):
    """The squared distance of the mean over draws from the gradient of the subset is near its expectation."""
    problem = problem_of(name, 2, partition=partition)
    theta = iterate(problem)
    drawn = torch.stack([gradients(problem.drawn(iteration), theta) for iteration in range(300)])
    error = (drawn.mean(dim=0) - gradients(problem, theta)).square().sum(dim=-1)
    expected = drawn.var(dim=0).sum(dim=-1) / 300
    assert (error <= 8 * expected + 1e-20).all()


@every
def test_the_gradient_of_a_draw_is_that_of_its_examples(name):
    """A draw of b of s examples of each subset has the gradients of a problem with these examples only."""
    problem = problem_of(name, 2, examples=13 * SUBSETS)
    theta, drawn = iterate(problem), problem.drawn(4)
    places = draw(streams(torch.tensor(SEEDS)), problem.sizes, 2, 4).places
    labels = "labels" if name == "least_squares" else "targets"
    for run in range(len(SEEDS)):
        np.testing.assert_array_equal(drawn.features[run], problem.features[run][places[run]])
        np.testing.assert_array_equal(getattr(drawn, labels)[run], getattr(problem, labels)[run][places[run]])
    at = Iterate(drawn, theta)
    np.testing.assert_allclose(gradients(drawn, theta).mean(dim=1), at.gradient, rtol=0, atol=1e-12)
    away = torch.zeros_like(theta)
    away[:, 3] = 1e-6
    sides = [Iterate(drawn, theta + sign * away).loss for sign in (1, -1)]
    np.testing.assert_allclose((sides[0] - sides[1]) / 2e-6, at.gradient[:, 3], rtol=1e-5, atol=1e-8)


def spec_of(problem, **changes):
    values = {"method": "cra_dl", "devices": 15, "redundancy": 6, "aggregation": "median", "byzantine": {"alpha": 0.2}}
    values |= {"iterations": 8, "record": {"step": 1}, "seeds": SEEDS, "step_size": 0.05, "problem": problem}
    return RunSpec.parse({**values, **changes}, "test")


def trained(spec):
    return train(spec, allocations.draw(spec.allocation_spec)).arrays()


@every
def test_a_minibatch_of_all_examples_is_the_full_gradient_to_the_bit(name):
    data = {"data": "digits"} if name != "least_squares" else {"data": "diabetes"}
    count = 12
    plain = {"name": name, **OPTIONS[name], **data, "subsets": SUBSETS, "examples": count * SUBSETS}
    full, drawn = (trained(spec_of(problem)) for problem in (plain, {**plain, "minibatch": count}))
    for quantity, values in full.items():
        np.testing.assert_array_equal(drawn[quantity], values, err_msg=quantity)


@every
@pytest.mark.parametrize("partition", ["iid", UNEQUAL])
def test_a_batch_has_the_bits_of_each_seed_alone(name, partition):
    spec = spec_of({"name": name, **OPTIONS[name], "subsets": SUBSETS, "partition": partition, "minibatch": 3})
    assigned = allocations.draw(spec.allocation_spec)
    together = train_together([spec], [assigned], device="cpu")[0].arrays()
    for place, seed in enumerate(SEEDS):
        alone = train(spec.model_copy(update={"seeds": (seed,)}), assigned[place : place + 1]).arrays()
        for quantity, values in together.items():
            np.testing.assert_array_equal(values[place], alone[quantity][0], err_msg=quantity)


DRACO = {"method": "draco_cyclic", "devices": SUBSETS, "redundancy": 9, "byzantine": {"alpha": 0.1}}


def test_an_exact_code_decodes_the_gradient_of_the_minibatch():
    problem = {"name": "softmax_regression", "subsets": SUBSETS, "minibatch": 2}
    made = trained(spec_of(problem, attack="sign_flip", aggregation="mean", **DRACO))
    assert (made["decoding_errors"] == 0).all()
    assert (made["decoding_failures"] == 0).all()
    assert (made["aggregation_error"] > 1e-3).all()  # the decoded gradient is not that of all examples


def test_devices_that_draw_for_themselves_break_an_exact_code():
    """The messages of half of the devices are from another draw: no device lies, and decoding is wrong."""
    problem = problem_of("softmax_regression", 2)
    theta, (encoder, decoder) = iterate(problem), (ENCODERS["draco_cyclic"], DECODERS["draco_cyclic"])
    windows = (np.arange(SUBSETS)[:, None] + np.arange(9)) % SUBSETS
    assigned = np.sort(windows, axis=1).astype(np.int32)[None].repeat(2, axis=0)
    weights = np.stack([encoder(lists, SUBSETS) for lists in assigned])
    devices = Devices(theta, assigned, weights, SEEDS, SUBSETS, assignment="fixed")
    shared, other = (messages(Iterate(problem.drawn(t), theta), devices.codes(0)) for t in (1, 2))
    decode = decoder.prepare(SUBSETS, SUBSETS, 9)
    gradient = Iterate(problem.drawn(1), theta).gradient
    np.testing.assert_allclose(decode(shared)[0], gradient, rtol=0, atol=1e-10)
    mixed = torch.where(torch.arange(SUBSETS)[:, None] % 2 == 0, shared, other)
    assert ((decode(mixed)[0] - gradient).norm(dim=-1) > 1e-3 * gradient.norm(dim=-1)).all()


@pytest.mark.parametrize(("count", "allowed"), [(0, "at least 1"), (51, r"1 to 50 \(the examples of a subset")])
def test_a_minibatch_that_is_not_possible_is_refused(count, allowed):
    with pytest.raises(UserError, match=rf"problem.*minibatch = {count}: allowed: {allowed}"):
        spec_of({"name": "softmax_regression", "subsets": SUBSETS, "minibatch": count})


def test_the_validation_examples_are_a_fifth_of_the_training_examples():
    known = DATA_SETS["digits"]
    options = {"data": "digits", "subsets": SUBSETS, "partition": "iid"}
    rows = {}
    for evaluate in ("test", "validation"):
        divided = divisions(SEEDS, **options, evaluate=evaluate)
        assert divided.orders.shape == (2, len(divided.training.labels))
        rows[evaluate] = [{row.tobytes() for row in part.features} for part in (divided.training, divided.test)]
    training, apart = rows["validation"]
    assert len(divided.test.labels) == known.training // 5
    assert len(divided.training.labels) == known.training - known.training // 5
    assert training | apart == rows["test"][0]
    assert not apart & training
    assert not apart & rows["test"][1]
