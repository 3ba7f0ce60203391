"""What rules do where scores, norms or distances are equal: values decide, and never the order of devices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_no_synchronisation import CalledGPU

from byzcode.aggregation import RULES
from byzcode.kernels.nearest import nearest
from byzcode.kernels.select import by_value, least, smallest
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.randomness import Draws, Stream

RULE_OPTIONS = {
    "phocas": [{"variant": "vector"}],
    "krum": [{"neighbours": "n-f-1"}],
    "multi_krum": [{"neighbours": "n-f-1"}, {"kept": 1}, {"kept": 2}],
    "centered_clipping": [{"start": "zero"}],
}
BEFORE_OPTIONS = {"clipping": [{"radius": 1.0}]}


def variants(table, options):
    return [
        pytest.param(name, given, id=" ".join([name, *map(str, given.values())]))
        for name in table
        for given in [{}, *options.get(name, [])]
    ]


class Drawn:
    """Random numbers of devices that move with them: a permuted run meets the same buckets."""

    def __init__(self, messages, order):
        self._draws, self._order = Draws([Stream(0, "test")], 0, like=messages), order

    def uniform(self, count):
        return self._draws.uniform(count)[:, self._order]


@st.composite
def tied(draw):
    """Messages (N, D) on a grid, with copies, mirrored, or nearly coincident; lies beside them; and an order."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, d = draw(st.integers(1, 16)), draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["grid", "fine grid", "copies", "mirrored", "two places", "nearly"]))
    messages = generator.normal(size=(n, d))
    if kind == "grid":
        messages = generator.integers(-2, 3, size=(n, d)).astype(float)
    elif kind == "fine grid":
        messages = 0.1 * generator.integers(-2, 3, size=(n, d))
    elif kind == "copies":
        messages = messages[generator.integers(max(1, n // 2), size=n)]
    elif kind == "mirrored":
        half = messages[: n // 2]
        messages = np.concatenate([half, -half, np.zeros((n % 2, d))])
    elif kind == "two places":
        messages = messages[generator.integers(min(2, n), size=n)]
    elif kind == "nearly":
        messages = 7 + np.spacing(7.0) * generator.integers(-1, 2, size=(n, d))
    lie = draw(st.sampled_from([None, None, math.nan, math.inf, 1e200]))
    return messages, lie, draw(st.floats(0, 1)), generator.permutation(n)


def spoilt(messages, lie, f):
    messages = messages.copy()
    if lie is not None:
        messages[:f] = lie
    return messages


def scale_of(messages):
    finite = messages[np.isfinite(messages) & (np.abs(messages) < 1e100)]
    return max(1e-300, np.abs(finite).max(initial=0.0))


def same(first, second, scale):
    """To rounding where sums run over devices in another order."""
    np.testing.assert_allclose(np.clip(first, -1e6, 1e6), np.clip(second, -1e6, 1e6), rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize(("name", "options"), variants(RULES, RULE_OPTIONS))
def test_the_order_of_devices_does_not_matter_to_a_rule(name, options):
    @settings(max_examples=80, deadline=None)
    @given(tied())
    def check(case):
        messages, lie, part, order = case
        n = len(messages)
        f = round(part * min(RULES[name].most_liars(n), n - 1))
        if options.get("kept", 0) > n - f:
            return
        messages = spoilt(messages, lie if name != "mean" else None, f)
        got, permuted = (
            RULES[name](torch.from_numpy(stacked), f, **options).numpy() for stacked in (messages, messages[order])
        )
        same(permuted, got, scale_of(messages))

    check()


@pytest.mark.parametrize(("before", "options"), variants(PRE_AGGREGATORS, BEFORE_OPTIONS))
@pytest.mark.parametrize("name", [name for name in RULES if name != "mean"])
def test_the_order_of_devices_does_not_matter_behind_a_pre_aggregator(name, before, options):
    """What is in front of a rule permutes with the devices; bucketing, if the random numbers do as well."""

    @settings(max_examples=25, deadline=None)
    @given(tied())
    def check(case):
        messages, lie, part, order = case
        n = len(messages)
        f = round(part * min(RULES[name].most_liars(PRE_AGGREGATORS[before].left(n, **options)), (n - 1) // 2))
        messages = spoilt(messages, lie, f)
        scale = scale_of(messages)
        mixed = []
        for places in (np.arange(n), order):
            stacked = torch.from_numpy(messages[places])[None]
            mixed.append(PRE_AGGREGATORS[before](stacked, f, Drawn(stacked, torch.from_numpy(places)), **options)[0])
        if before != "bucketing":
            same(mixed[1].numpy(), mixed[0].numpy()[order], scale)
        # A rule that selects may tell messages apart that only rounding tells apart: it gets the same ones.
        again = mixed[0] if before == "bucketing" else mixed[0][order]
        same(RULES[name](again, f).numpy(), RULES[name](mixed[0], f).numpy(), scale)

    check()


def test_mutual_neighbours_tie_and_the_lesser_is_taken():
    """One neighbour counts: two messages nearest to each other have equal scores."""
    pair = np.array([[5.0, 1.0], [5.0, 2.0], [0.0, 0.0]])
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        assert RULES["krum"](torch.from_numpy(pair[order]), 0).tolist() == [5.0, 1.0]


def test_of_equal_norms_the_lesser_values_are_kept():
    messages = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [0.0, 0.0]])
    for order in (range(5), [3, 1, 4, 0, 2]):
        got = RULES["norm_trimming"](torch.from_numpy(messages[list(order)]), 2)
        np.testing.assert_allclose(got, np.array([-1.0, -1.0]) / 3)


def test_bulyan_of_duplicates_does_not_depend_on_their_places():
    generator = np.random.default_rng(0)
    for number in range(60):
        f = 1 + number % 3
        n = 4 * f + 3 + number % 4
        messages = generator.normal(size=(n // 2 + 1, 3))[generator.integers(n // 2 + 1, size=n)]
        got = RULES["bulyan"](torch.from_numpy(messages), f).numpy()
        for _ in range(4):
            shuffled = messages[generator.permutation(n)]
            np.testing.assert_array_equal(RULES["bulyan"](torch.from_numpy(shuffled), f).numpy(), got)


# --- the kernels below ------------------------------------------------------------------------------------------------

SPECIAL = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e300, -1e300, 5e-324, math.inf, -math.inf, math.nan])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(SPECIAL, min_size=3, max_size=3), min_size=1, max_size=12))
def test_messages_in_the_order_of_their_values(rows):
    messages = torch.tensor(rows, dtype=torch.float64)
    got = by_value(messages[None])[0].tolist()
    finite = [i for i, row in enumerate(rows) if all(map(math.isfinite, row))]
    assert got[: len(finite)] == sorted(finite, key=lambda i: rows[i])
    assert sorted(got) == list(range(len(rows)))
    with CalledGPU():
        there = by_value(messages[None])[0].tolist()
    assert there[: len(finite)] == got[: len(finite)]


@pytest.mark.parametrize("compared", [1, 3, 16])
def test_on_a_gpu_messages_are_compared_part_by_part(compared, monkeypatch):
    messages = torch.from_numpy(np.random.default_rng(1).integers(-1, 2, size=(3, 11, 2)).astype(float))
    want = by_value(messages)
    monkeypatch.setattr("byzcode.kernels.select._COMPARED", compared)
    with CalledGPU():
        assert torch.equal(by_value(messages), want)


def test_messages_that_differ_late_are_ordered_too():
    messages = torch.zeros(1, 6, 30, dtype=torch.float64)
    messages[0, :, 29] = torch.tensor([3.0, -1.0, 2.0, 0.0, 2.0, 1.0])
    messages[0, 3, 20] = -1.0
    assert by_value(messages).tolist() == [[3, 1, 5, 2, 4, 0]]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9))
def test_least_and_smallest_settle_ties_by_value(seed, n, k):
    generator, k = np.random.default_rng(seed), min(n, k)
    messages = torch.from_numpy(generator.integers(-1, 2, size=(2, n, 2)).astype(float))
    scores = torch.from_numpy(generator.choice([0.0, 1.0, math.inf], size=(2, n)))
    want = [sorted(range(n), key=lambda i, r=r: (scores[r, i].item(), messages[r, i].tolist()))[:k] for r in range(2)]
    for on_a_gpu in (False, True):
        with CalledGPU() if on_a_gpu else torch.no_grad():
            got, taken = least(scores, messages, k), smallest(scores.unsqueeze(-2), k, messages).squeeze(-2)
        assert [sorted(row) for row in got.tolist()] == [sorted(row) for row in want]
        assert [row.nonzero().flatten().tolist() for row in taken] == [sorted(row) for row in want]


def test_the_nearest_are_those_of_exact_distances():
    """Where rounding of multiplied-out distances leaves a doubt: clusters off the centre, grids that are not dyadic."""
    for number in range(200):
        generator = np.random.default_rng((2, number))
        n, d = int(generator.integers(2, 14)), int(generator.integers(1, 4))
        messages = 0.1 * generator.integers(-2, 3, size=(n, d))
        if number % 2:
            messages = messages + 1e-9 * generator.normal(size=(n, d))
        away = torch.from_numpy(messages - np.median(messages, axis=0))
        exact = (away.unsqueeze(-2) - away.unsqueeze(-3)).square().sum(dim=-1)
        for k in range(1, n + 1):
            values = nearest(away, k).double() @ away
            edge = exact.sort(dim=-1).values[:, k - 1 : k]
            taken = nearest(away, k)
            assert (taken.sum(dim=-1) == k).all()
            assert (torch.where(taken, exact, 0.0) <= edge * (1 + 1e-12)).all()
            order = torch.from_numpy(generator.permutation(n))
            permuted = nearest(away[order], k).double() @ away[order]
            torch.testing.assert_close(permuted, values[order], rtol=0, atol=1e-13)
