"""What claims make of seeds that did not finish: an undefined run is no evidence, for nothing and against nothing."""

from __future__ import annotations

import numpy as np
import pytest
from claim_runs import LOWER, SEEDS, claim, run, scattered, tried

from byzcode.analysis.evidence import ClaimTest, evidence
from byzcode.analysis.levels import Run
from byzcode.training.status import Status

HALF = {"byzantine": {"alpha": 0.5}}
ALONG = {"along": "redundancy", "values": [1, 2, 3]}


def fine(level=1.0, seed=0, **more):
    return run(scattered(level, seed), **more)


def undefined(**more):
    one = fine(**HALF, **more)
    assert one.spec.undefined
    return one


def none(outcome):
    """Whether an outcome is evidence for nothing."""
    return (outcome.p_support, outcome.p_refute) == (1.0, 1.0) and outcome.pairs == 0 and np.isnan(outcome.effect)


@pytest.mark.parametrize("at", ["start", "plateau", "end"])
@pytest.mark.parametrize("test", ["lower", "equivalent"])
def test_against_an_undefined_run_nothing_is_lower_higher_or_equal(test, at):
    asked = claim(test, against="B", at=at, **({"margin": 1.1} if test == "equivalent" else {}))
    for one, other in ((undefined(), fine(1e6)), (fine(1e-6), undefined()), (undefined(), undefined())):
        assert none(tried(asked, one, against=[other]))
    assert not none(tried(asked, fine(1e-6), against=[fine(1e6)])) or at == "start"


@pytest.mark.parametrize("quantity", ["gradients_computed", "bits_sent"])
def test_what_is_not_trained_costs_nothing_that_could_be_compared(quantity):
    values = np.arange(101) * np.full((SEEDS, 1), 10.0)
    defined = fine()
    costs = [Run(one.spec, {quantity: values}, one.status) for one in (undefined(), defined)]
    asked = claim("lower", against="B", quantity=quantity, factor=2.0)
    assert none(tried(asked, costs[0], against=[costs[1]]))
    assert tried(asked, costs[1], against=[costs[1]]).p_support < 0.01


@pytest.mark.parametrize("place", [0, 1, 2])
def test_no_advantage_grows_through_an_undefined_run(place):
    """The middle place has no weight in a slope, and is none all the same."""
    asked = claim("grows", against="B", advantage="ratio", **ALONG)
    one, other = [fine(1.0, seed) for seed in range(3)], [fine(10.0**step, 5 + step) for step in range(3)]
    assert tried(asked, *one, against=other).p_support < 0.01
    for runs, against in ((one, other), (other, one)):
        broken = [undefined() if step == place else each for step, each in enumerate(runs)]
        assert none(tried(asked, *broken, against=against))
        assert none(tried(asked, *against, against=broken))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_nothing_falls_through_an_undefined_run(place):
    levels = [fine(10.0**-step, step) for step in range(3)]
    asked = claim("falls", **ALONG)
    assert tried(asked, *levels).p_support < 0.01
    found = tried(asked, *[undefined() if step == place else each for step, each in enumerate(levels)])
    assert (found.p_support, found.p_refute) == (1.0, 1.0)
    assert "none at a plateau" in found.note


def test_a_row_says_that_a_run_is_undefined_and_why():
    runs = {"a": undefined(), "b": fine()}
    row = evidence([ClaimTest(LOWER, "one", "", ("a",), ("b",))], runs.__getitem__).iloc[0]
    assert row["ended"] == "A: undefined: f = 10 liars, but median among 20 devices tolerates at most 9"
    assert row["unsettled"] == ""  # which would be to say it twice
    assert (row["pairs"], row["p_support"], row["p_refute"]) == (0, 1.0, 1.0)


def test_a_row_says_what_ended_how_many_seeds():
    one = fine(diverged=range(4))
    status = one.status.copy()
    status[:4] = [Status.DIVERGED, Status.OVERFLOWED, Status.POISONED, Status.POISONED]
    runs = {"a": Run(one.spec, one.values, status), "b": fine(2.0, 1)}
    row = evidence([ClaimTest(LOWER, "one", "", ("a",), ("b",))], runs.__getitem__).iloc[0]
    told = "A: 1 of 20 seeds diverged, 1 of 20 seeds overflowed, 2 of 20 seeds poisoned"
    assert row["ended"] == told
    same = {"a": one, "b": runs["b"]}
    assert (
        evidence([ClaimTest(LOWER, "one", "", ("a",), ("b",))], same.__getitem__).iloc[0]["p_support"]
        == row["p_support"]
    )


@pytest.mark.parametrize(("devices", "redundancy", "bears"), [(12, 5, 2), (12, 9, 4)])
def test_a_row_says_that_a_decoder_is_beyond_its_radius(devices, redundancy, bears):
    """Its loss stays where it was, which looks like a plateau: what is lower is lower than nothing learnt."""
    code = {"method": "draco_cyclic", "aggregation": None, "devices": devices, "redundancy": redundancy}
    code |= {"problem": {"name": "linear_regression", "subsets": devices}, "byzantine": {"alpha": 4 / devices}}
    runs = {"a": fine(1e-3), "b": fine(**code)}
    row = evidence([ClaimTest(LOWER, "one", "", ("a",), ("b",))], runs.__getitem__).iloc[0]
    said = f"f = 4 liars, but draco_cyclic with redundancy {redundancy} tolerates at most {bears}"
    assert row["ended"] == (f"B: beyond its radius: {said}" if bears < 4 else "")
