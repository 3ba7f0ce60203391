"""Levels of runs: plateaus, ends, starts, divergences, costs."""

from __future__ import annotations

import numpy as np
from unit.claim_runs import ENOUGH, SEEDS, STEPS, claim, lower, run, scattered, spec, tried

from byzcode.analysis.levels import Run


def test_the_level_of_a_plateau_and_of_what_is_none():
    found = run([2.0, 3.0, 4.0], ["plateau", "falling", "rising"]).levels("excess_loss", "plateau")
    np.testing.assert_allclose(found.level, [2.0, 3.0, 4.0], rtol=0.03)
    assert found.settled.tolist() == [True, False, False]
    assert found.falling.tolist() == [False, True, False]
    assert found.rising.tolist() == [False, False, True]
    assert not found.diverged.any()


def test_at_the_end_all_counts_and_at_the_start_the_first_value():
    some = run([2.0, 3.0, 4.0], ["plateau", "falling", "rising"])
    end = some.levels("excess_loss", "end")
    assert end.settled.all()
    assert not (end.falling | end.rising).any()
    start = some.levels("excess_loss", "start")
    assert start.level.tolist() == [1e3] * 3
    assert start.settled.all()


def test_a_divergence_stands_at_the_limit_of_its_loss():
    for at in ("plateau", "end"):
        found = run([2.0, 3.0], diverged=[1], diverged_at=1e4).levels("excess_loss", at)
        np.testing.assert_allclose(found.level, [2.0, 1e7], rtol=0.01)
        assert found.settled.all()
        assert found.diverged.tolist() == [False, True]
    assert run([2.0, 3.0], diverged=[1]).levels("excess_loss", "start").level.tolist() == [1e3, 1e3]


def test_what_is_not_measured_is_neither_settled_nor_a_bound():
    """A code of complex numbers has no dispersion of messages."""
    nothing = Run(spec(), {"honest_dispersion": np.full((SEEDS, 101), np.nan)}, np.zeros(SEEDS, dtype=bool))
    for at in ("plateau", "end", "start"):
        found = nothing.levels("honest_dispersion", at)
        assert not (found.settled | found.falling | found.rising).any()


def test_costs_are_of_one_iteration_even_after_a_divergence():
    total = np.stack([7.0 * STEPS, np.where(STEPS < 60, 7.0 * STEPS, np.nan), np.where(STEPS < 1, 0.0, np.nan)])
    some = Run(spec(seeds=3), {"bits_sent": total}, np.array([False, True, True]))
    for at in ("plateau", "end", "start"):
        found = some.levels("bits_sent", at)
        np.testing.assert_array_equal(found.level, [7.0, 7.0, np.nan])
        assert found.settled.tolist() == [True, True, False]
        assert not found.diverged.any()


def test_a_level_of_rounding_alone_is_no_lower_than_another():
    """Without noise all methods come to the optimum: 1e-29 against 1e-31 of the first loss is chance."""
    one, other = run(scattered(1e-29)), run(scattered(1e-27, seed=1))
    found = lower(one, other)
    assert (found.effect, found.p_support, found.p_refute) == (1.0, 1.0, 1.0)
    assert lower(one, run(scattered(1e-9))).p_support < ENOUGH
    same = tried(claim("equivalent", against="B", margin=1.1), one, against=[other])
    assert same.p_support < ENOUGH
