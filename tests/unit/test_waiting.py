"""How long a server waits: closed forms against all draws by quadrature, and against delays as a run draws them."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from byzcode.allocation import EMPTY
from byzcode.figures.price_costs import expected_wait
from byzcode.randomness import Orders
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.theory.waiting import harmonic, last_of
from byzcode.training.arrivals import Arrivals

PROBLEM = {"name": "linear_regression", "subsets": 60, "dimension": 3}
EVEN, UNEVEN = {"name": "random", "side": "device"}, {"name": "random", "side": "subset"}


def by_quadrature(loads):
    """The expected maximum of the delays of some devices, from its definition."""

    def not_all(time):
        return 1 - np.prod([1 - np.exp(-max(time / load - 1, 0)) if load else 1.0 for load in loads])

    ends = [0.0, *sorted({float(load) for load in loads if load}), 20.0, 60.0, 400.0]
    return sum(quad(not_all, *each, epsabs=1e-13)[0] for each in pairwise(ends))


def test_the_sum_of_fractions():
    assert [harmonic(n) for n in range(4)] == pytest.approx([0, 1, 1.5, 11 / 6])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("loads", [(4, 4, 4, 4, 4), (1, 2, 2, 5, 9), (3, 0, 8, 8, 1)])
def test_the_wait_is_the_mean_over_all_draws(loads, count):
    drawn = [by_quadrature(each) for each in combinations(loads, count)]
    assert last_of(loads, count) == pytest.approx(np.mean(drawn), rel=1e-9)


def test_a_single_device_and_none():
    assert last_of([3, 5, 7], 1) == pytest.approx(2 * 5)  # r (1 + 1) on average
    assert last_of([3, 5, 7], 0) == last_of([0, 0], 2) == 0


@given(st.integers(1, 120), st.integers(1, 10**6), st.data())
def test_even_loads_have_a_closed_form_and_nearly_even_ones_are_near_it(devices, load, data):
    count = data.draw(st.integers(1, devices))
    closed = load * (1 + sum(1 / n for n in range(1, count + 1)))
    loads = np.full(devices, float(load))
    assert last_of(loads, count) == pytest.approx(closed)
    loads[0] *= 1 - 1e-12
    assert last_of(loads, count) == pytest.approx(closed, rel=1e-10)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12))
def test_more_devices_and_more_work_never_take_less_time(loads):
    waits = [last_of(loads, count) for count in range(1, len(loads) + 1)]
    assert (np.diff(waits) >= -1e-9).all()
    assert last_of([loads[0] + 1, *loads[1:]], len(loads)) >= waits[-1] - 1e-9
    assert max(loads) <= waits[-1] + 1e-9 <= max(loads) * (1 + harmonic(len(loads))) + 1e-8


@pytest.mark.parametrize("allocation", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("liars", [0, 4])
def test_the_expected_wait_is_the_mean_of_what_a_run_would_record(allocation, liars):
    """With the arrivals of training, over 4000 iterations: within five standard errors of each seed's own mean."""
    seeds, devices = (0, 3), 20
    spec = RunSpec.parse(
        {
            "method": "cra_dl",
            "redundancy": 12,
            "aggregation": "median",
            "problem": PROBLEM,
            "devices": devices,
            "allocation": allocation,
            "byzantine": {"alpha": liars / devices},
            "absence": {"name": "slowest", "share": 0},
            "seeds": list(seeds),
        },
        "test",
    )
    loads = (allocations.draw(spec.allocation_spec) != EMPTY).sum(axis=-1)
    assert (len(np.unique(loads)) > 1) == (allocation is UNEVEN)
    arrivals = Arrivals(spec, seeds, torch.from_numpy(loads).double())
    orders = Orders(seeds, devices, "byzantine", redrawn=True, first=liars)
    times = np.stack([arrivals.at(t, *orders.parts(t)).time.numpy() for t in range(4000)])
    expected = [last_of(each, devices - liars) for each in loads]
    assert (np.abs(times.mean(axis=0) - expected) < 5 * times.std(axis=0) / np.sqrt(len(times))).all()
    assert expected_wait(spec.allocation_spec.canonical(), spec.honest) == pytest.approx(np.mean(expected))
