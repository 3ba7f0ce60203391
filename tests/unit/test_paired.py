"""Statistics paired over seeds: exact tests against enumerations, intervals against what they promise, Holm by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from byzcode.analysis.paired import above, below, holm, interval


def enumerated(values, limit=0.0):
    """The chance of at most the observed sum of ranks above the limit, over all 2^n ways to set the signs."""
    away = [value - limit for value in values if value != limit]
    ranks = stats.rankdata(np.abs(away))
    observed = sum(rank for rank, value in zip(ranks, away, strict=True) if value > 0)
    sums = [sum(itertools.compress(ranks, signs)) for signs in itertools.product([0, 1], repeat=len(away))]
    return np.mean([each <= observed + 1e-9 for each in sums])


#: Few different numbers, so that ties and zeros are the rule.
NUMBERS = st.lists(st.sampled_from([-3.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 4.0, np.inf, -np.inf]), max_size=9)


@given(values=NUMBERS, limit=st.sampled_from([0.0, 0.5, -1.0]))
def test_the_signed_rank_test_is_exact_with_ties_and_zeros(values, limit):
    values = np.array(values)
    assert below(values, limit) == pytest.approx(enumerated(values, limit), abs=1e-12)
    assert above(values, limit) == pytest.approx(enumerated(-values, -limit), abs=1e-12)


@pytest.mark.parametrize("count", [1, 2, 5, 14, 20, 35])
def test_without_ties_it_is_that_of_scipy(count):
    for seed in range(5):
        values = np.random.default_rng(seed).normal(loc=-0.3, size=count)
        for test, alternative in ((below, "less"), (above, "greater")):
            expected = stats.wilcoxon(values, alternative=alternative, method="exact").pvalue
            assert test(values) == pytest.approx(expected, rel=1e-9)


def test_nothing_says_nothing():
    assert below(np.array([])) == above(np.array([])) == 1.0
    assert below(np.zeros(20)) == above(np.zeros(20)) == 1.0
    assert below(np.full(20, np.log(2.0)), np.log(2.0)) == 1.0


def test_twenty_seeds_that_agree_are_enough_for_hundreds_of_tests():
    assert below(-np.ones(20)) == 0.5**20
    assert holm([0.5**20, *[1.0] * 399])[0] < 0.001


def test_many_seeds_are_as_the_normal_distribution_says():
    values = np.random.default_rng(0).normal(size=300)
    assert below(values) == pytest.approx(stats.wilcoxon(values, alternative="less", method="approx").pvalue, abs=0.01)


@given(values=st.lists(st.floats(-5, 5), min_size=1, max_size=20), order=st.randoms(use_true_random=False))
def test_the_order_of_seeds_does_not_matter(values, order):
    values = np.array(values)
    shuffled = values[order.sample(range(len(values)), len(values))]
    assert below(values) == pytest.approx(below(shuffled), rel=1e-12)
    one, two = interval(values), interval(shuffled)
    assert one.mean == pytest.approx(two.mean, abs=1e-12)
    assert (one.low, one.high) == (pytest.approx(two.low, abs=1e-12), pytest.approx(two.high, abs=1e-12))


@given(values=NUMBERS)
def test_the_other_side_is_the_mirror_image(values):
    values = np.array(values)
    assert below(values) == above(-values)
    if len(values) and not (values == 0).all():
        assert below(values) + above(values) >= 1 - 1e-12  # both count what was observed


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_of_tests_of_true_hypotheses_few_reject(shift):
    """At the limit, at most 5 % (exactly as many as ranks allow); on the wrong side of it, fewer."""
    generator = np.random.default_rng(1)
    p = [below(generator.normal(size=20), limit=-shift) for _ in range(2000)]
    assert np.mean(np.array(p) < 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 2000)
    assert np.mean(np.array(p) < 0.05) > 0.03 or shift


# --- intervals -------------------------------------------------------------------------------------------------------


def test_an_interval_is_that_of_the_bootstrap():
    """For symmetric numbers the correction is nearly none: the quantiles of means of resamples, drawn here by hand."""
    half = np.random.default_rng(0).normal(size=40)
    values = np.concatenate([half, -half]) + 3.0
    means = np.random.default_rng(5).choice(values, size=(20000, 80)).mean(axis=1)
    found = interval(values)
    assert found.mean == pytest.approx(3.0)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.015)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_of_skewed_numbers_is_corrected_and_accelerated(sign):
    """By the formulas (Efron 1987) on resamples drawn here; plain quantiles lie a third of a deviation off."""
    values = sign * np.random.default_rng(2).exponential(size=20) ** 2
    means = np.random.default_rng(5).choice(values, size=(100_000, 20)).mean(axis=1)
    away = values - values.mean()
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)  # of the jackknife, for a mean
    bias = stats.norm.ppf((means < values.mean()).mean())
    moved = bias + stats.norm.ppf([0.025, 0.975])
    expected = np.quantile(means, stats.norm.cdf(bias + moved / (1 - acceleration * moved)))
    found, deviation = interval(values), means.std()
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.1 * deviation)
    assert np.abs(np.quantile(means, [0.025, 0.975]) - expected).max() > 0.3 * deviation


def test_an_interval_moves_and_stretches_with_the_numbers():
    values = np.random.default_rng(2).exponential(size=20)
    one, two = interval(values), interval(10 * values - 7)
    np.testing.assert_allclose(two, 10 * np.array(one) - 7)
    mirrored = interval(-values)
    assert mirrored.mean == -one.mean
    np.testing.assert_allclose([mirrored.low, mirrored.high], [-one.high, -one.low], atol=0.04)


def test_an_interval_is_the_same_twice_and_needs_spread():
    values = np.random.default_rng(2).normal(size=20)
    assert interval(values) == interval(values.copy())
    assert np.isnan(interval(np.array([]))).all()
    assert interval(np.array([2.0])) == (2.0, 2.0, 2.0)
    assert interval(np.full(20, 1 / 3)) == (pytest.approx(1 / 3),) * 3
    low, high = interval(np.array([1.0, 2.0]))[1:]
    assert 1.0 <= low <= 1.5 <= high <= 2.0


def test_intervals_cover_what_they_say():
    """95 % for many seeds; with 20 a bootstrap of normal numbers covers a little less (93 %)."""
    generator = np.random.default_rng(3)
    found = [interval(generator.normal(size=20)) for _ in range(150)]
    covered = np.mean([each.low <= 0 <= each.high for each in found])
    assert 0.93 - 4 * np.sqrt(0.93 * 0.07 / 150) < covered < 0.995


# --- many tests ------------------------------------------------------------------------------------------------------


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.6, 0.001]), [1.0, 1.0, 0.003])
    np.testing.assert_allclose(holm([0.02]), [0.02])
    assert holm([]).tolist() == []


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30), level=st.sampled_from([0.01, 0.05, 0.3]))
def test_holm_rejects_as_its_steps_do(p, level):
    """Step by step: the least p against level / m, the next against level / (m - 1), until one is not rejected."""
    adjusted, rejected = holm(p), np.zeros(len(p), dtype=bool)
    for step, place in enumerate(np.argsort(p, kind="stable")):
        if p[place] * (len(p) - step) >= level:
            break
        rejected[place] = True
    np.testing.assert_array_equal(adjusted < level, rejected)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1).all()


def test_holm_keeps_the_rate_of_any_false_rejection():
    """Of 40 true hypotheses, by one-sided tests of the same numbers on both sides: 5 % of tables hold a rejection."""
    generator = np.random.default_rng(4)
    tables = generator.normal(size=(120, 20, 20))
    wrong = [(holm([test(row) for row in table for test in (below, above)]) < 0.05).any() for table in tables]
    assert np.mean(wrong) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 120)
