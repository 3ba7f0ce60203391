"""Every pre-aggregator of the table: against loops written from its formula, and for what any of them must keep."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from unit.tables import cases

from byzcode.aggregation import RULES
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.randomness import Draws, Stream

EXTREMES = (math.inf, -math.inf, math.nan, 1e300, -1e300)
CASES = cases(PRE_AGGREGATORS) | {
    "bucketing, 1": ("bucketing", {"size": 1}),
    "bucketing, 3": ("bucketing", {"size": 3}),
    "clipping, static": ("clipping", {"radius": 1.5}),
}


def having(prop):
    """The cases with a property."""
    having_it = [case for case, (name, _) in CASES.items() if prop not in PRE_AGGREGATORS[name].lacks]
    return pytest.mark.parametrize("case", having_it)


SIZES = [(1, 0), (2, 0), (3, 1), (4, 1), (8, 3), (9, 4), (20, 6)]


def draws(runs, iteration=0, like=None):
    streams = [Stream(seed, "test") for seed in range(runs)]
    return Draws(streams, iteration, like=torch.zeros((), dtype=torch.float64) if like is None else like)


def apply(case, messages, f, iteration=0):
    """(N, D) or (R, N, D) in numpy; a run alone is the first of the streams."""
    name, options = CASES[case]
    runs = torch.from_numpy(np.array(messages)).reshape(-1, *messages.shape[-2:])
    got = PRE_AGGREGATORS[name](runs, f, draws(len(runs), iteration, runs), **options).numpy()
    return got if messages.ndim == 3 else got[0]


def attacked(generator, n, f, d):
    messages = generator.normal(size=(n, d))
    liars = np.sort(generator.permutation(n)[:f])
    messages[liars] = generator.choice(EXTREMES, size=(f, d))
    return messages, np.delete(np.arange(n), liars)


# --- what every one of them keeps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_it_leaves_as_many_as_it_says(case):
    name, options = CASES[case]
    generator = np.random.default_rng(1)
    for n, f in SIZES:
        got = apply(case, generator.normal(size=(3, n, 4)), f)
        assert got.shape == (3, PRE_AGGREGATORS[name].left(n, **options), 4)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_the_numbers_is_kept(case, dtype):
    name, options = CASES[case]
    messages = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 9, 5)))
    got = PRE_AGGREGATORS[name](messages.to(dtype), 3, draws(2, like=messages.to(dtype)), **options)
    assert got.dtype is dtype
    np.testing.assert_allclose(got.double().numpy(), apply(case, messages.numpy(), 3), rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("d", [1, 5, 33])
def test_runs_do_not_touch_each_other(case, d):
    """To the bit, and a run meets the same random numbers alone and beside others."""
    generator = np.random.default_rng(3)
    name, options = CASES[case]
    for n, f in SIZES:
        messages = np.stack([attacked(generator, n, f, d)[0] for _ in range(3)])
        got = apply(case, messages, f)
        for run in range(3):
            alone = torch.from_numpy(messages[run : run + 1].copy())
            want = PRE_AGGREGATORS[name](alone, f, Draws([Stream(run, "test")], 0, like=alone), **options)
            np.testing.assert_array_equal(got[run], want[0].numpy())


@pytest.mark.parametrize("case", CASES)
def test_a_calm_run_has_the_same_bits_beside_wild_ones(case):
    """Where a shorter way is taken if no run needs the longer one."""
    name, options = CASES[case]
    messages = np.random.default_rng(15).normal(size=(4, 9, 5))
    messages[1, 0], messages[2, 1], messages[3] = math.inf, 1e200, messages[3].round()
    got = apply(case, messages, 3)
    for run in range(4):
        alone = torch.from_numpy(messages[run : run + 1].copy())
        want = PRE_AGGREGATORS[name](alone, 3, Draws([Stream(run, "test")], 0, like=alone), **options)
        np.testing.assert_array_equal(got[run], want[0].numpy())


@pytest.mark.parametrize("case", CASES)
def test_messages_are_not_modified(case):
    name, options = CASES[case]
    generator = np.random.default_rng(4)
    for n, f in SIZES:
        messages = torch.from_numpy(attacked(generator, n, f, 4)[0])[None]
        before = messages.clone()
        PRE_AGGREGATORS[name](messages, f, draws(1), **options)
        assert torch.equal(messages.nan_to_num(nan=7.0), before.nan_to_num(nan=7.0)), (n, f)


@having("order")
def test_the_order_of_devices_goes_through(case):
    generator = np.random.default_rng(5)
    for n, f in SIZES:
        messages, order = generator.normal(size=(n, 4)), generator.permutation(n)
        np.testing.assert_allclose(apply(case, messages[order], f), apply(case, messages, f)[order], rtol=0, atol=1e-13)


@having("translation")
def test_a_translation_goes_through(case):
    generator = np.random.default_rng(6)
    for n, f in SIZES:
        messages = generator.normal(size=(n, 4))
        np.testing.assert_allclose(apply(case, messages + 7, f), apply(case, messages, f) + 7, rtol=0, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_at_most_f_are_spoilt(case):
    """What is not spoilt is of the size of honest messages, whatever the lies."""
    generator = np.random.default_rng(7)
    for n, f in SIZES:
        for _ in range(5):
            messages, honest = attacked(generator, n, f, 4)
            got = apply(case, messages, f)
            with np.errstate(invalid="ignore"):
                sound = (np.abs(got) <= np.abs(messages[honest]).max() + 1e-12).all(axis=-1)
            assert (~sound).sum() <= f, (n, f)


@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "krum", "geometric_median"])
@pytest.mark.parametrize("case", CASES)
def test_a_rule_behind_it_bears_the_lies(case, rule):
    generator = np.random.default_rng(8)
    for n, f in [(30, 3), (21, 2)]:
        messages, _ = attacked(generator, n, f, 4)
        left = torch.from_numpy(apply(case, messages, f))
        if f > RULES[rule].most_liars(len(left)):
            continue
        assert RULES[rule](left, f).abs().max() < 20


# --- nearest neighbour mixing -----------------------------------------------------------------------------------------


def loop_nnm(messages, f):
    """In 80-bit numbers; rows that are not finite are None, and distances to them infinite."""
    x = messages.astype(np.longdouble)
    finite = np.isfinite(messages).all(axis=1)
    out = []
    for i in range(len(x)):
        far = [
            ((x[j] - x[i]) ** 2).sum() if finite[j] and finite[i] else np.longdouble(math.inf) for j in range(len(x))
        ]
        far[i] = np.longdouble(0)
        chosen = sorted(range(len(x)), key=lambda j, far=far: (far[j], x[j].tolist()))[: len(x) - f]
        out.append(x[chosen].mean(axis=0) if finite[i] else None)
    return out


@pytest.mark.parametrize(("place", "noise"), [(0.0, 1.0), (1e3, 1e-3), (1e6, 1e-6)])
@pytest.mark.parametrize("lie", [1e300, math.inf, math.nan, 1e9, "near"])
def test_mixing_is_exact_for_honest_messages(place, noise, lie):
    """Also where they nearly coincide far from zero, beside huge lies."""
    generator = np.random.default_rng(9)
    for n, f, d in [(5, 2, 1), (9, 2, 3), (20, 8, 5), (30, 10, 40)]:
        messages = place + noise * generator.normal(size=(n, d))
        messages[:f] = place + 3 * noise * generator.normal(size=(f, d)) if lie == "near" else lie
        got = apply("nnm", messages, f)
        for i, want in list(enumerate(loop_nnm(messages, f)))[f:]:
            assert np.abs(got[i] - want).max() <= 1e-12 * noise + np.spacing(place)
        if not math.isfinite(1.0 if lie == "near" else lie):
            np.testing.assert_array_equal(got[:f], messages[:f])


def test_mixing_takes_exactly_its_number_with_ties():
    """On a grid, where many are equally near: of those whose first coordinate is less, then the second."""
    generator = np.random.default_rng(10)
    for n, f in [(4, 1), (9, 4), (20, 6)]:
        for _ in range(20):
            messages = generator.integers(-1, 2, size=(n, 2)).astype(float)
            want = np.array(loop_nnm(messages, f)).astype(float)
            np.testing.assert_allclose(apply("nnm", messages, f), want, rtol=0, atol=1e-14)


def test_mixing_without_liars_gives_the_mean():
    messages = np.random.default_rng(11).normal(size=(9, 4))
    np.testing.assert_allclose(apply("nnm", messages, 0), np.tile(messages.mean(axis=0), (9, 1)), rtol=0, atol=1e-15)


def test_mixing_shrinks_the_spread_of_the_honest():
    """Lemma of 2302.01772, with its constant: variance and bias together are below 8 f / (N - f) of the variance."""
    generator = np.random.default_rng(12)
    for n, f in [(9, 2), (20, 8), (21, 5)]:
        for far in (0.5, 1.0, 2.0, 4.0, 1e6):
            messages = generator.normal(size=(n, 3))
            messages[:f] = far * np.sign(generator.normal(size=(f, 3)))
            honest, mixed = messages[f:], apply("nnm", messages, f)[f:]
            after = mixed.var(axis=0).sum() + ((mixed.mean(axis=0) - honest.mean(axis=0)) ** 2).sum()
            assert after <= 8 * f / (n - f) * honest.var(axis=0).sum()


# --- bucketing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 5, 30])
def test_buckets_are_means_in_the_order_that_was_drawn(size):
    for n in (1, 4, 9, 10):
        messages = np.random.default_rng(n).normal(size=(1, n, 3))
        pre = PRE_AGGREGATORS["bucketing"]
        got = pre(torch.from_numpy(messages), 0, draws(1, iteration=5), size=size)[0].numpy()
        order = np.argsort(draws(1, iteration=5).uniform(n)[0].numpy())
        want = [messages[0, order[start : start + size]].mean(axis=0) for start in range(0, n, size)]
        assert pre.left(n, size=size) == len(want) == math.ceil(n / size)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-15)


def test_the_order_of_buckets_is_drawn_anew():
    messages = np.arange(12.0).reshape(12, 1)
    orders = {tuple(apply("bucketing, 1", messages, 0, iteration).ravel()) for iteration in range(20)}
    assert len(orders) == 20
    assert all(sorted(order) == list(range(12)) for order in orders)


# --- clipping ---------------------------------------------------------------------------------------------------------


def loop_clipping(messages, radius):
    return [row * min(1.0, radius / max(math.hypot(*row), 1e-300)) for row in messages]


def test_static_clipping_to_the_radius():
    messages = np.random.default_rng(13).normal(size=(9, 4))
    for f in (0, 4):
        np.testing.assert_allclose(apply("clipping, static", messages, f), loop_clipping(messages, 1.5), rtol=1e-14)
    assert (apply("clipping, static", np.zeros((3, 2)), 1) == 0).all()


def test_adaptive_clipping_to_the_next_norm():
    """The k = floor(2 f (N - f) / N) largest norms become the (k + 1)-th largest."""
    generator = np.random.default_rng(14)
    for n in range(1, 24):
        for f in range((n - 1) // 2 + 1):
            messages = generator.normal(size=(n, 3))
            k = math.floor(2 * f * (n - f) / n + 1e-9)
            radius = sorted((math.hypot(*row) for row in messages), reverse=True)[k]
            got = apply("clipping", messages, f)
            np.testing.assert_allclose(got, loop_clipping(messages, radius), rtol=1e-14)
            assert (np.abs(got - messages).max(axis=1) > 1e-12).sum() == k


def test_nothing_finite_is_clipped_to_an_infinite_norm():
    messages = np.random.default_rng(16).normal(size=(9, 3))
    messages[:2] = math.inf  # more than the one that is clipped
    np.testing.assert_array_equal(apply("clipping", messages, 1), np.where(np.isfinite(messages), messages, 0.0))


@pytest.mark.parametrize("case", ["clipping", "clipping, static"])
def test_a_huge_message_keeps_its_direction_and_one_that_is_not_finite_becomes_zero(case):
    messages = np.ones((9, 2))
    messages[0], messages[1], messages[2] = (3e300, -4e300), (math.inf, 0.0), (0.0, math.nan)
    got = apply(case, messages, 4)
    radius = 1.5 if case == "clipping, static" else math.sqrt(2)
    np.testing.assert_allclose(got[0], [0.6 * radius, -0.8 * radius], rtol=1e-14)
    assert (got[1:3] == 0).all()
    np.testing.assert_allclose(got[3:], 1.0, rtol=1e-14)
