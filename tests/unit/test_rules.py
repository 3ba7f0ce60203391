"""Every rule of the table: against loops written from its formula, and for the properties that any rule must have."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from byzcode.aggregation import RULES

DEVICES = (1, 2, 3, 4, 5, 8, 11, 20)
EXTREMES = (math.inf, -math.inf, math.nan, 1e300, -1e300)

#: Rules that bear a liar only where they promise something; the mean takes any f and promises nothing.
ROBUST = [name for name, rule in RULES.items() if rule.most_liars(11) < 11]


# --- the rules, one coordinate at a time, as plain loops: the admissible results of a column --------------------------


def nan_last(column):
    return sorted(column, key=lambda x: (math.isnan(x), x))


def loop_mean(column, f):
    return [sum(column) / len(column)]


def loop_median(column, f):
    ordered = nan_last(column)
    n = len(ordered)
    if n % 2:
        return [ordered[n // 2]]
    return [ordered[n // 2 - 1] / 2 + ordered[n // 2] / 2]


def loop_trimmed_mean(column, f):
    ordered = nan_last(column)
    for _ in range(f):
        ordered.pop()
        ordered.pop(0)
    return [sum(ordered) / len(ordered)]


def loop_phocas(column, f):
    """Mean of the n - f values nearest to the trimmed mean; every choice among equally near ones is admissible."""
    [centre] = loop_trimmed_mean(column, f)
    distance = [math.inf if math.isnan(x) else abs(x - centre) for x in column]
    keep = len(column) - f
    edge = sorted(distance)[keep - 1]
    blur = 1e-12 * max(edge, abs(centre))
    inside = [x for x, d in zip(column, distance, strict=True) if d < edge - blur]
    level = [x for x, d in zip(column, distance, strict=True) if edge - blur <= d <= edge + blur]
    low, high = [x for x in level if x < centre], [x for x in level if x >= centre]
    missing = keep - len(inside)
    return [
        (sum(inside) + sum(low[:taken]) + sum(high[: missing - taken])) / keep
        for taken in range(missing + 1)
        if taken <= len(low) and missing - taken <= len(high)
    ]


LOOPS = {"mean": loop_mean, "median": loop_median, "trimmed_mean": loop_trimmed_mean, "phocas": loop_phocas}


def apply(name, messages, f, **options):
    return RULES[name](torch.from_numpy(np.ascontiguousarray(messages)), f, **options).numpy()


def assert_as_loops(name, messages, f, scale):
    got = apply(name, messages, f)
    assert got.shape == messages.shape[1:]
    for value, column in zip(got, messages.T, strict=True):
        admissible = LOOPS[name](column.tolist(), f)
        assert any(abs(value - a) <= 1e-12 * scale for a in admissible), (name, f, value, admissible, column)


def every_f(name):
    """(N, f) for all N tried and all f that the rule accepts and that leave an honest device."""
    return [(n, f) for n in DEVICES for f in range(min(RULES[name].most_liars(n), n - 1) + 1)]


def test_each_rule_with_a_formula_is_in_the_table():
    assert set(LOOPS) <= set(RULES)


@pytest.mark.parametrize("name", LOOPS)
def test_agrees_with_the_loops_without_ties(name):
    generator = np.random.default_rng(1)
    for n, f in every_f(name):
        assert_as_loops(name, generator.normal(size=(n, 6)), f, scale=10)


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("scale", [1.0, 1e300, 1e-300])
def test_agrees_with_the_loops_with_ties_and_at_any_scale(name, scale):
    generator = np.random.default_rng(2)
    for n, f in every_f(name):
        assert_as_loops(name, scale * generator.integers(-2, 3, size=(n, 12)), f, scale=3 * scale)


def test_the_median_of_the_largest_numbers_does_not_overflow():
    largest = np.finfo(np.float64).max
    messages = largest * np.array([[1.0, -1.0, 0.75], [0.75, -0.75, -0.75], [1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])
    np.testing.assert_allclose(apply("median", messages, 1) / largest, [0.875, -0.875, 0.0], atol=1e-15)


@pytest.mark.parametrize("name", [name for name in LOOPS if name in ROBUST])
@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_the_loops_among_extreme_lies(name, ties):
    """Infinities of both signs, NaN and 1e300, from up to f liars: to the accuracy of the honest values."""
    generator = np.random.default_rng(3)
    for n, f in every_f(name):
        honest = generator.integers(-2, 3, size=(n, 12)).astype(float) if ties else generator.normal(size=(n, 12))
        messages = honest.copy()
        for column in range(12):
            liars = generator.permutation(n)[: generator.integers(f + 1)]
            messages[liars, column] = generator.choice(EXTREMES, size=len(liars))
        assert_as_loops(name, messages, f, scale=10)


@given(
    data=arrays(
        np.float64, st.tuples(st.integers(1, 9), st.integers(1, 3)), elements=st.integers(-3, 3).map(lambda k: k / 2)
    ),
    part=st.floats(0, 1),
)
@pytest.mark.parametrize("name", LOOPS)
def test_agrees_with_the_loops_on_small_fractions(name, data, part):
    f = int(part * min(RULES[name].most_liars(len(data)), len(data) - 1))
    assert_as_loops(name, data, f, scale=2)


def test_phocas_takes_the_lower_of_two_values_equally_near():
    assert apply("phocas", np.array([[1.0], [-1.0], [0.0]]), 1).tolist() == [-0.5]


# --- what the theory promises against f liars ------------------------------------------------------------------------


def attacked(generator, n, f, dimension):
    """Messages with exactly f lying devices, and the honest ones among them."""
    messages = generator.normal(size=(n, dimension))
    liars = generator.permutation(n)[:f]
    honest = np.delete(messages, liars, axis=0)
    messages[liars] = generator.choice(EXTREMES, size=(f, dimension))
    return messages, honest


@pytest.mark.parametrize("name", ROBUST)
def test_is_finite_among_extreme_lies(name):
    generator = np.random.default_rng(4)
    for n, f in every_f(name):
        messages, _ = attacked(generator, n, f, 8)
        assert np.isfinite(apply(name, messages, f)).all(), (n, f)


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("name", ROBUST)
def test_bears_f_equal_lies(name, extreme):
    """All liars send the same: the case in which they occupy one whole side of the sorted row."""
    for n, f in every_f(name):
        messages = np.random.default_rng(n).normal(size=(n, 5))
        messages[:f] = extreme
        got = apply(name, messages, f)
        assert np.isfinite(got).all()
        assert np.abs(got).max() < 20  # of the size of the honest values, not of the lies


@pytest.mark.parametrize("name", ["median", "trimmed_mean"])
def test_stays_in_the_honest_range(name):
    generator = np.random.default_rng(5)
    for n, f in every_f(name):
        messages, honest = attacked(generator, n, f, 8)
        got = apply(name, messages, f)
        assert (honest.min(axis=0) - 1e-12 <= got).all()
        assert (got <= honest.max(axis=0) + 1e-12).all()


def test_phocas_stays_as_near_to_the_trimmed_mean_as_the_honest_values():
    """At least n - f values (the honest ones) lie within R = max_H |h - t|, so the chosen ones do too."""
    generator = np.random.default_rng(6)
    for n, f in every_f("phocas"):
        messages, honest = attacked(generator, n, f, 8)
        centre = np.array([loop_trimmed_mean(column.tolist(), f)[0] for column in messages.T])
        reach = np.abs(honest - centre).max(axis=0)
        assert (np.abs(apply("phocas", messages, f) - centre) <= reach + 1e-12).all()
        # Hence within the honest range widened by its own width.
        width = np.ptp(honest, axis=0)
        got = apply("phocas", messages, f)
        assert (honest.min(axis=0) - width - 1e-12 <= got).all()
        assert (got <= honest.max(axis=0) + width + 1e-12).all()


@pytest.mark.parametrize("name", RULES)
def test_equal_honest_messages_come_out_again(name):
    generator = np.random.default_rng(7)
    common = generator.normal(size=6)
    for n, f in every_f(name):
        messages = np.tile(common, (n, 1))
        if name in ROBUST:
            messages[generator.permutation(n)[:f]] = generator.choice(EXTREMES, size=(f, 6))
        np.testing.assert_allclose(apply(name, messages, f), common, rtol=1e-9, atol=1e-12)


KAPPA = {  # papers.md section 4; a = f / (n - 2 f)
    "trimmed_mean": lambda n, f: 6 * (f / (n - 2 * f)) * (1 + f / (n - 2 * f)),
    "median": lambda n, f: 4 * (1 + f / (n - 2 * f)) ** 2,
    "phocas": lambda n, f: 4 * f / (n - f) * (1 + 6 * (f / (n - 2 * f)) * (1 + f / (n - 2 * f))),
}


@pytest.mark.parametrize("name", KAPPA)
def test_error_is_below_the_robustness_bound(name):
    """||rule - mean_H||^2 <= kappa (1/|H|) sum_H ||x - mean_H||^2, here per coordinate (F8)."""
    generator = np.random.default_rng(8)
    for n, f in itertools.product((5, 11, 20), range(1, 10)):
        if f > RULES[name].most_liars(n):
            continue
        honest = generator.normal(size=(n - f, 200)) ** 3
        lies = generator.choice([-1.0, 1.0], size=(1, 200)) * generator.exponential(5, size=(f, 200))
        got = apply(name, np.concatenate([honest, lies]), f)
        error = (got - honest.mean(axis=0)) ** 2
        assert (error <= KAPPA[name](n, f) * honest.var(axis=0) + 1e-12).all(), (n, f)


# --- properties of every rule ----------------------------------------------------------------------------------------


@st.composite
def cases(draw):
    n = draw(st.integers(1, 15))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    return generator.normal(size=(n, draw(st.integers(1, 4)))), draw(st.floats(0, 1)), generator


def liars_of(name, messages, part):
    return round(part * min(RULES[name].most_liars(len(messages)), len(messages) - 1))


@pytest.mark.parametrize("name", RULES)
@given(case=cases())
def test_the_order_of_devices_does_not_matter(name, case):
    messages, part, generator = case
    f = liars_of(name, messages, part)
    shuffled = messages[generator.permutation(len(messages))]
    np.testing.assert_allclose(apply(name, shuffled, f), apply(name, messages, f), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
@given(case=cases(), shift=st.floats(-100, 100))
def test_a_translation_goes_through(name, case, shift):
    messages, part, _ = case
    f = liars_of(name, messages, part)
    np.testing.assert_allclose(apply(name, messages + shift, f), apply(name, messages, f) + shift, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", RULES)
@given(case=cases(), scale=st.floats(-100, 100).filter(lambda s: abs(s) > 1e-3))
def test_a_scale_goes_through_with_its_sign(name, case, scale):
    """Without ties (normal data): a rule may break ties by order, which a negative scale turns round."""
    messages, part, _ = case
    f = liars_of(name, messages, part)
    np.testing.assert_allclose(
        apply(name, scale * messages, f), scale * apply(name, messages, f), rtol=0, atol=1e-12 * max(1, abs(scale))
    )


@pytest.mark.parametrize("name", ["mean", "trimmed_mean", "phocas"])
@given(case=cases())
def test_with_no_liars_it_is_the_mean(name, case):
    messages, _, _ = case
    np.testing.assert_allclose(apply(name, messages, 0), messages.mean(axis=0), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("batch", [(3,), (1,), (2, 4), (0,)])
def test_leading_axes_are_a_batch(name, batch):
    generator = np.random.default_rng(9)
    n = 9
    for f in range(RULES[name].most_liars(n) + 1):
        messages = generator.normal(size=(*batch, n, 5))
        if name in ROBUST:
            messages[..., :f, :] = generator.choice(EXTREMES, size=(*batch, f, 5))
        got = apply(name, messages, f)
        assert got.shape == (*batch, 5)
        for place in np.ndindex(*batch):
            np.testing.assert_array_equal(got[place], apply(name, messages[place], f))


@pytest.mark.parametrize("name", RULES)
def test_any_memory_layout_gives_the_same(name):
    messages = torch.from_numpy(np.random.default_rng(10).normal(size=(4, 9, 5)))
    strided = messages.transpose(0, 2).contiguous().transpose(0, 2)
    assert not strided.is_contiguous()
    np.testing.assert_allclose(RULES[name](strided, 2).numpy(), RULES[name](messages, 2).numpy(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_the_numbers_is_kept(name, dtype):
    messages = torch.from_numpy(np.random.default_rng(11).normal(size=(9, 5)))
    got = RULES[name](messages.to(dtype), 3)
    assert got.dtype is dtype
    np.testing.assert_allclose(got.double().numpy(), RULES[name](messages, 3).numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_messages_are_not_modified(name):
    generator = np.random.default_rng(12)
    for n, f in every_f(name):
        messages = torch.from_numpy(attacked(generator, n, f, 4)[0])
        before = messages.clone()
        got = RULES[name](messages, f)
        got += 1.0  # nor is the result a view of them
        assert torch.equal(messages.nan_to_num(nan=7.0), before.nan_to_num(nan=7.0)), (n, f)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n", [1, 2, 9, 10])
def test_a_wrong_number_of_liars_is_refused_with_the_bound(name, n):
    messages, most = torch.zeros(n, 3, dtype=torch.float64), RULES[name].most_liars(n)
    for f in (-1, most + 1, n + 5):
        with pytest.raises(ValueError, match=rf"{n} messages .*0 to {most} liars.*f = {f}"):
            RULES[name](messages, f)
    RULES[name](messages, most)


@pytest.mark.parametrize(("n", "most"), [(1, 0), (2, 0), (3, 1), (4, 1), (99, 49), (100, 49)])
def test_a_robust_rule_bears_less_than_half(n, most):
    for name in ("median", "trimmed_mean", "phocas"):
        assert RULES[name].most_liars(n) == most


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", [(), (5,), (0, 5), (3, 0, 5)])
def test_a_wrong_shape_is_refused(name, shape):
    with pytest.raises(ValueError, match=r"\(\.\.\., N, D\)"):
        RULES[name](torch.zeros(shape), 0)
