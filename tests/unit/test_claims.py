"""Claims: levels, comparisons on trajectories with a known answer, rows and verdicts, and which runs a claim means."""

from __future__ import annotations

import copy
import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from byzcode import trajectory
from byzcode.allocation import file
from byzcode.analysis import evidence
from byzcode.analysis.comparisons import TESTS
from byzcode.analysis.evidence import LEVEL, Asked, scorecard, verdicts
from byzcode.analysis.levels import Run, of_dataset, of_measurements
from byzcode.engine import train
from byzcode.errors import UserError
from byzcode.studies.claim import Claim, Open
from byzcode.studies.plan import load_plan, load_plan_file
from byzcode.studies.spec import RunSpec
from byzcode.theory import coded_variance

ROOT = Path(__file__).parents[2]
SEEDS, STEPS = 20, np.arange(101)
WORDS = {
    "claim": "one",
    "says": "It does.",
    "source": "Nowhere",
    "mark": "inferred",
    "curve": "A",
    "confirms": "If so.",
    "refutes": "If not.",
}
RECORD = ("claim", "says", "source", "mark")
ENOUGH = LEVEL / 400  # what Holm leaves of it among 200 tests of both sides


def claim(test, **more):
    words = {key: value for key, value in WORDS.items() if test != "open" or key in RECORD}
    return TypeAdapter(Claim).validate_python({**words, "test": test, **more})


def spec(**changes):
    values = {
        "method": "cra_dl",
        "problem": {"name": "linear_regression", "subsets": 60, "dimension": 7},
        "devices": 20,
        "redundancy": 12,
        "aggregation": "median",
        "iterations": 100,
        "record": {"step": 1},
        "seeds": SEEDS,
        **changes,
    }
    return RunSpec.parse({key: value for key, value in values.items() if value is not None}, "test")


#: How a trajectory goes to, or does not go to, its level: factors of the level over the iterations.
SHAPES = {
    "plateau": 1 + 1e3 * 0.8**STEPS,
    "falling": 0.95 ** (STEPS - 90.0),
    "rising": 1.05 ** (STEPS - 90.0),
}


def run(levels, shape="plateau", quantity="excess_loss", diverged=(), **changes):
    """A run whose seeds have these levels. ``shape``: one for all, or one a seed. ``diverged``: seeds that do."""
    shapes = [shape] * len(levels) if isinstance(shape, str) else shape
    values = np.stack([level * SHAPES[each] for level, each in zip(levels, shapes, strict=True)])
    values[:, 0] = 1e3  # all begin at the same theta
    values[list(diverged), 60:] = np.nan
    return Run(spec(**changes), {quantity: values}, np.isin(np.arange(len(levels)), list(diverged)))


def scattered(centre, seed=0, spread=0.1, count=SEEDS):
    return centre * np.exp(np.random.default_rng(seed).normal(scale=spread, size=count))


def tried(one, *runs, against=()):
    return TESTS[one.test](one, list(runs), list(against))


LOWER = claim("lower", against="B")


def lower(one, other, **more):
    return tried(claim("lower", against="B", **more), one, against=[other])


# --- levels ----------------------------------------------------------------------------------------------------------


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


# --- lower -----------------------------------------------------------------------------------------------------------


def test_a_lower_plateau_is_supported_and_a_higher_one_refuted():
    low, high = run(scattered(1.0)), run(scattered(2.0, seed=1))
    found = lower(low, high)
    assert found.effect == pytest.approx(0.5, rel=0.1)
    assert found.low < found.effect < found.high < 1
    assert (found.pairs, found.neutral) == (SEEDS, 1.0)
    assert found.p_support < ENOUGH < found.p_refute
    again = lower(high, low)
    assert (again.p_support, again.p_refute) == (found.p_refute, found.p_support)
    assert again.effect == pytest.approx(1 / found.effect)
    assert (again.low, again.high) == (pytest.approx(1 / found.high, rel=0.02), pytest.approx(1 / found.low, rel=0.02))


def test_what_differs_by_chance_is_undecided():
    found = lower(run(scattered(1.0)), run(scattered(1.0, seed=7)))
    assert min(found.p_support, found.p_refute) > ENOUGH
    assert found.low < 1 < found.high


def test_pairs_are_of_one_seed():
    """Seeds differ by factors of thousands, methods by 10 %: only pairs show it, and in any order of the seeds."""
    seeds = scattered(1.0, spread=3.0)
    order = np.random.default_rng(3).permutation(SEEDS)
    found = lower(run(seeds), run(1.1 * seeds))
    assert found.p_support < ENOUGH
    again = lower(run(seeds[order]), run(1.1 * seeds[order]))
    np.testing.assert_allclose(again[:3], found[:3])
    assert again.p_support == found.p_support
    assert lower(run(seeds), run(1.1 * seeds[order])).p_support > ENOUGH


def test_a_factor_moves_what_is_to_be_shown():
    one, other = run(scattered(1.0)), run(scattered(1.5, seed=1))
    assert lower(one, other).p_support < ENOUGH
    found = lower(one, other, factor=0.5)
    assert found.p_refute < ENOUGH < found.p_support
    assert found.neutral == 0.5


UP, DOWN = "rising", "falling"


@pytest.mark.parametrize(
    ("one", "other", "support", "refute"),
    [
        ("plateau", "plateau", True, True),
        (DOWN, "plateau", True, False),  # may end even lower
        (UP, "plateau", False, True),
        ("plateau", UP, True, False),
        ("plateau", DOWN, False, True),
        (DOWN, UP, True, False),
        (UP, DOWN, False, True),
        (DOWN, DOWN, False, False),
        (UP, UP, False, False),
    ],
)
def test_what_moves_is_a_bound_on_the_safe_side_only(one, other, support, refute):
    for ratio, side in ((0.1, "p_support"), (10.0, "p_refute")):
        found = lower(run(scattered(ratio), one), run(scattered(1.0, seed=1), other))
        wanted = support if side == "p_support" else refute
        assert (getattr(found, side) < ENOUGH) == wanted, (ratio, side)
        assert getattr(found, "p_refute" if side == "p_support" else "p_support") > ENOUGH
        shown = f"at {'most' if support else 'least'} this" if (support or refute) else ""
        if (one, other) != ("plateau", "plateau"):
            assert shown in found.note
            assert found.pairs == (SEEDS if shown else 0)
            assert np.isnan(found.effect) == (not shown)


def test_an_effect_is_of_the_seeds_at_their_plateaus():
    """The others fall a thousand times lower; they count for the sign and not for the effect."""
    shape = ["plateau"] * 12 + [DOWN] * 8
    found = lower(run(np.r_[scattered(1.0, count=12), np.full(8, 1e-3)], shape), run(scattered(2.0, seed=1)))
    assert found.effect == pytest.approx(0.5, rel=0.1)
    assert found.pairs == 12
    assert found.p_support == 0.5**20
    assert found.note == ""


@pytest.mark.parametrize(("moving", "edge"), [("falling", max), ("rising", min)])
def test_no_mean_is_taken_of_what_moves(moving, edge):
    """The effect is then a bound that holds in each seed, and the interval says on which side."""
    levels = scattered(1.0, 1, 0.5)
    found = lower(run(levels, moving), run(np.ones(SEEDS)))
    bounds = (
        run(levels, moving).levels("excess_loss", "plateau").level
        / run(np.ones(SEEDS)).levels("excess_loss", "plateau").level
    )
    assert found.effect == pytest.approx(edge(bounds))
    assert (found.low, found.high) == ((0.0, found.effect) if edge is max else (found.effect, np.inf))
    assert f"at {'most' if edge is max else 'least'} this" in found.note


def test_a_loss_at_which_seeds_were_given_up_is_a_bound_and_no_mean():
    one, other = run(scattered(1.0, 1)), run(scattered(1.0, 2), diverged=range(SEEDS))
    found = lower(one, other)
    assert found.low == 0
    assert found.high == found.effect
    assert "at most this" in found.note
    found = lower(other, one)
    assert found.low == found.effect
    assert found.high == np.inf
    assert "at least this" in found.note
    none = lower(other, other)
    assert np.isnan(none.effect)
    assert none.pairs == 0


def test_a_few_divergences_enter_no_mean():
    one, other = run(scattered(1.0, 1)), scattered(2.0, 2)
    whole, part = lower(one, run(other)), lower(one, run(other, diverged=[3, 4]))
    assert part.pairs == SEEDS - 2
    assert part.effect == pytest.approx(whole.effect, rel=0.05)
    assert part.note == ""


def test_the_seeds_that_are_known_do_not_speak_for_many_that_are_not():
    """B is at a plateau where that is high, and still falls where it will end below A: 13 of 20 seeds agree."""
    for unknown, supported in ((1, True), (3, True), (5, False), (7, False)):
        shape = ["plateau"] * (SEEDS - unknown) + [DOWN] * unknown
        found = lower(run(scattered(1.0)), run(scattered(2.0, seed=1), shape))
        assert (found.p_support < LEVEL) == supported
        assert found.p_refute > 0.5


def test_a_divergence_is_worse_than_anything_finite():
    fine, gone = run(scattered(1.0)), run(scattered(1.0), diverged=range(SEEDS))
    assert lower(fine, gone).p_support == 0.5**20
    assert lower(gone, fine).p_refute == 0.5**20
    some = run(scattered(1.0, seed=1), diverged=range(4))
    assert lower(fine, some).p_support > ENOUGH  # the others are as low


def test_two_divergences_say_nothing():
    gone, too = (run(scattered(1.0, seed=seed), diverged=range(SEEDS)) for seed in (0, 1))
    for found in (lower(gone, too), lower(gone, too, factor=0.5), lower(gone, too, factor=2)):
        assert np.isnan(found.effect)
        assert (found.pairs, found.p_support, found.p_refute) == (0, 1.0, 1.0)
    same = tried(claim("equivalent", against="B", margin=1.1), gone, against=[too])
    assert (same.pairs, same.p_support, same.p_refute) == (0, 1.0, 1.0)


def test_of_true_null_hypotheses_few_are_supported():
    """Two methods that are the same, but for chance: 5 % of either side."""
    generator = np.random.default_rng(9)
    found = []
    for _ in range(200):
        common = generator.normal(size=SEEDS)
        one, other = (run(np.exp(common + generator.normal(scale=0.3, size=SEEDS))) for _ in range(2))
        with_intervals = TESTS["lower"](LOWER, [one], [other])
        found.append([with_intervals.p_support < 0.05, with_intervals.p_refute < 0.05])
    assert (np.mean(found, axis=0) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)).all()


# --- equivalent ------------------------------------------------------------------------------------------------------


def equivalent(one, other, margin=1.25):
    return tried(claim("equivalent", against="B", margin=margin), one, against=[other])


@pytest.mark.parametrize(
    ("ratio", "spread", "verdict"),
    [
        (1.0, 0.05, "support"),
        (1.1, 0.05, "support"),
        (0.9, 0.05, "support"),
        (1.25, 0.2, None),
        (1.0, 3.0, None),  # no significant difference is no equivalence
        (1.6, 0.05, "refute"),
        (0.6, 0.05, "refute"),
    ],
)
def test_equivalence_needs_the_evidence_inside_the_margin(ratio, spread, verdict):
    common = scattered(1.0, seed=5, spread=2.0)
    found = equivalent(run(ratio * common * scattered(1.0, spread=spread)), run(common))
    assert (found.p_support < ENOUGH) == (verdict == "support")
    assert (found.p_refute < ENOUGH) == (verdict == "refute")
    assert found.band == (1 / 1.25, 1.25)
    assert np.isnan(found.neutral)
    if verdict == "support":
        assert 1 / 1.25 < found.low < found.high < 1.25


def test_equivalence_is_of_either_side():
    one, other = run(scattered(1.0)), run(scattered(1.1, seed=1))
    found, again = equivalent(one, other), equivalent(other, one)
    assert (found.p_support, found.p_refute) == (again.p_support, again.p_refute)
    assert found.effect == pytest.approx(1 / again.effect)


def test_what_still_falls_is_not_equivalent_but_may_be_refuted():
    level = run(scattered(1.0, seed=1))
    assert equivalent(run(scattered(1.0), DOWN), level).p_support == 1.0
    assert equivalent(run(scattered(0.1), DOWN), level).p_refute < ENOUGH  # and falls on
    assert equivalent(run(scattered(10.0), DOWN), level).p_refute == 1.0  # and may come down to it
    some = ["plateau"] * 14 + [DOWN] * 6
    assert equivalent(run(scattered(1.0, spread=0.02), some), level).p_support > LEVEL


# --- falls, grows, law, predicted ------------------------------------------------------------------------------------


def falls(*levels, shapes=None, **more):
    one = claim("falls", along="redundancy", values=list(range(len(levels))))
    ways = zip(levels, shapes or ["plateau"] * len(levels), strict=True)
    return tried(one, *(run(scattered(level, seed), shape) for seed, (level, shape) in enumerate(ways)))


def test_falling_is_at_every_step():
    found = falls(8.0, 4.0, 2.0, 1.0)
    assert found.p_support < ENOUGH
    assert found.p_refute == 1.0
    assert found.effect == pytest.approx(1 / 8, rel=0.1)
    assert re.fullmatch(r"steps: (0\.[45]\d*(, )?){3}", found.note)
    flat = falls(8.0, 4.0, 4.0, 1.0)
    assert min(flat.p_support, flat.p_refute) > ENOUGH
    up = falls(8.0, 2.0, 4.0, 1.0)
    assert up.p_refute < ENOUGH < up.p_support
    assert up.effect == pytest.approx(1 / 8, rel=0.1)  # from first to last it falls; the note has the steps


def test_steps_between_what_moves():
    """The last still falls: so much the better. The first does: it may end below the second."""
    plateau = "plateau"
    assert falls(4.0, 2.0, 1.0, shapes=[plateau, plateau, DOWN]).p_support < ENOUGH
    assert falls(4.0, 2.0, 1.0, shapes=[DOWN, plateau, plateau]).p_support == 1.0
    assert falls(4.0, 2.0, 4.0, shapes=[plateau, plateau, DOWN]).p_refute == 1.0
    assert falls(4.0, 2.0, 4.0, shapes=[plateau, plateau, UP]).p_refute < ENOUGH
    assert falls(4.0, 2.0, 4.0, shapes=[plateau, DOWN, plateau]).p_refute < ENOUGH


def grows(ones, others, advantage, values=(0.0, 0.25, 0.5), shapes=("plateau",) * 3, **more):
    one = claim("grows", against="B", along="problem.sigma_h", values=list(values), advantage=advantage)
    runs, against = (
        [
            run(scattered(level, 10 * side + place, 0.05), **({"shape": shapes[place]} if side else {}), **more)
            for place, level in enumerate(levels)
        ]
        for side, levels in enumerate((ones, others))
    )
    return tried(one, *runs, against=against)


def test_an_advantage_grows_as_a_ratio_or_as_a_difference():
    both = grows([1, 1, 1], [2, 4, 8], "ratio"), grows([1, 1, 1], [2, 4, 8], "difference")
    assert all(found.p_support < ENOUGH for found in both)
    assert both[0].effect == pytest.approx(4, rel=0.1)
    assert both[1].effect == pytest.approx(6, rel=0.1)
    assert (both[0].neutral, both[1].neutral) == (1.0, 0.0)
    assert both[0].note.startswith("advantage: ")
    ratio, difference = grows([1, 2, 4], [4, 6, 8], "ratio"), grows([1, 2, 4], [4, 6, 8], "difference")
    assert ratio.p_refute < ENOUGH  # 4, 3 and 2 times
    assert difference.p_support < ENOUGH or difference.effect == pytest.approx(1.0, abs=0.3)  # 3, 4 and 4 more
    same = grows([1, 2, 4], [2, 4, 8], "ratio")
    assert min(same.p_support, same.p_refute) > ENOUGH


@pytest.mark.parametrize("advantage", ["ratio", "difference"])
def test_growth_between_what_moves(advantage):
    """Where the other method still rises the advantage is at least what it is; the middle of three does not count."""
    still = "plateau"
    up, down = ([1, 1, 1], [2, 4, 8], advantage), ([1, 1, 1], [8, 4, 2], advantage)
    for shapes, support, refute in (
        ((still, still, UP), True, False),
        ((DOWN, still, still), True, False),
        ((still, UP, still), True, True),
        ((UP, still, still), False, True),
        ((still, still, DOWN), False, True),
    ):
        assert (grows(*up, shapes=shapes).p_support < ENOUGH) == support, shapes
        assert (grows(*down, shapes=shapes).p_refute < ENOUGH) == refute, shapes
        settled = shapes[0] == shapes[2]
        assert grows(*up, shapes=shapes).pairs == (SEEDS if settled else 0)
        assert ("none at a plateau" in grows(*up, shapes=shapes).note) == (shapes != (still,) * 3)
    gone = grows(*up, diverged=range(SEEDS))
    assert (gone.pairs, gone.p_support, gone.p_refute) == (0, 1.0, 1.0)
    assert np.isnan(gone.effect)


def law(levels, redundancies, predicted="coded_variance", measured=None, **more):
    """Runs whose aggregation error has these levels."""
    one = claim(
        "law",
        along="redundancy",
        values=list(redundancies),
        predicted=predicted,
        quantity="aggregation_error",
        margin=0.25,
    )
    runs = []
    for place, (level, r) in enumerate(zip(levels, redundancies, strict=True)):
        values = run(scattered(level, place, 0.02), quantity="aggregation_error", redundancy=r, **more)
        for name, each in (measured or {}).items():
            values.values[name] = run(np.full(SEEDS, each[place]), quantity=name).values[name]
        runs.append(values)
    return tried(one, *runs)


@pytest.mark.parametrize(("exponent", "verdict"), [(1.0, "support"), (1.1, "support"), (0.5, "refute"), (2, "refute")])
def test_a_law_is_an_exponent_near_one(exponent, verdict):
    redundancies = (2, 5, 12, 30)
    factor = np.array([coded_variance(60, r) for r in redundancies])
    found = law(factor ** (exponent / 2), redundancies)
    assert found.effect == pytest.approx(exponent, abs=0.03)
    assert (found.p_support < ENOUGH) == (verdict == "support")
    assert (found.p_refute < ENOUGH) == (verdict == "refute")
    assert found.band == (0.75, 1.25)


@pytest.mark.parametrize(("name", "quantity"), [("dispersion", "honest_dispersion"), ("heterogeneity",) * 2])
def test_a_law_may_be_in_what_was_measured(name, quantity):
    measured = {quantity: [1.0, 2.0, 8.0]}
    found = law([3.0, 6.0, 24.0], (2, 5, 12), name, measured)  # errors are three times that: the exponent is 1
    assert found.effect == pytest.approx(1.0, abs=0.02)
    assert found.p_support < ENOUGH
    assert law([3.0, 12.0, 192.0], (2, 5, 12), name, measured).p_refute < ENOUGH  # its square


def test_a_law_has_no_exponent_where_something_moves_or_diverges():
    redundancies = (2, 5, 12)
    levels = [coded_variance(60, r) ** 0.5 for r in redundancies]
    for more in ({"shape": DOWN}, {"diverged": range(SEEDS)}):
        found = law(levels, redundancies, **more)
        assert (found.pairs, found.p_support, found.p_refute) == (0, 1.0, 1.0)


def predicted(ratio):
    """Dispersion and bias add up to ``ratio`` times the closed form."""
    variance = ratio * coded_variance(60, 12) * 9.0
    values = {
        "honest_dispersion": np.sqrt(0.9 * variance) * scattered(1.0, spread=0.01)[:, None],
        "coding_bias": np.sqrt(0.1 * variance) * scattered(1.0, 1, spread=0.01)[:, None],
        "heterogeneity": np.full((SEEDS, 1), 3.0),
    }
    some = Run(spec(), values, np.zeros(SEEDS, dtype=bool))
    return tried(claim("predicted", margin=1.1), some)


def test_the_closed_form_is_met_within_a_margin():
    assert predicted(1.0).effect == pytest.approx(1.0, rel=0.02)
    assert predicted(1.0).p_support < ENOUGH
    assert predicted(1.3).p_refute < ENOUGH
    assert predicted(0.8).p_refute < ENOUGH
    edge = predicted(1.1)
    assert min(edge.p_support, edge.p_refute) > ENOUGH


def test_a_real_run_meets_the_closed_form(make_spec):
    one = make_spec(iterations=1, seeds=SEEDS, devices=100, byzantine={"alpha": 0})
    held = file.draw(one.allocation_spec)
    found = tried(claim("predicted", margin=1.2), of_measurements(one, train(one, held), held))
    assert found.p_support < ENOUGH


def test_two_real_messages_are_as_near_to_each_other_as_the_closed_form_says(make_spec):
    """f of N devices are left out of what is measured, so that H / (H - 1) counts: 5 of 10 here, a factor of 1.25."""
    one = make_spec(iterations=1, seeds=40, devices=10, byzantine={"alpha": 0.4})
    held = file.draw(one.allocation_spec)
    some = of_measurements(one, train(one, held), held)
    found, least = (tried(claim("predicted", margin=margin, distance="each_other"), some) for margin in (1.15, 1.01))
    assert found.effect == pytest.approx(1.0, abs=0.1)
    assert least.effect == found.effect


# --- rows and verdicts -----------------------------------------------------------------------------------------------

#: The columns of the table behind the scorecard.
COLUMNS = {
    *("study", "study_title", "claim", "cell", "place", "says", "source", "mark", "test", "statistic", "confirms"),
    *("refutes", "compared", "against", "effect", "low", "high", "unit", "neutral", "band_low", "band_high"),
    *("p_support", "p_refute", "pairs", "seeds", "unsettled", "diverged", "note", "figure", "runs"),
}
KINDS = {
    "lower": {"against": "B"},
    "equivalent": {"against": "B", "margin": 1.25},
    "falls": {"along": "redundancy", "values": [2, 5]},
    "grows": {"against": "B", "along": "redundancy", "values": [2, 5], "advantage": "ratio"},
    "law": {"along": "redundancy", "values": [2, 5], "predicted": "coded_variance", "margin": 0.25},
    "predicted": {"margin": 1.1},
    "open": {"reason": "nobody can."},
}


def asked(kind, name="s/one"):
    one = claim(kind, **KINDS[kind])
    runs: tuple[str, ...] = () if kind == "open" else ("a", "b")[: len(KINDS[kind].get("values", "a"))]
    return Asked(one, name, "r = 2", runs, ("b", "c")[: len(runs)] if "against" in KINDS[kind] else ())


def stored():
    found = {}
    for name, level, r in (("a", 1.0, 2), ("b", 2.0, 5), ("c", 8.0, 6)):
        found[name] = run(scattered(level), ["plateau"] * 18 + [DOWN] * 2, redundancy=r, diverged=[0])
        for quantity in ("honest_dispersion", "coding_bias", "heterogeneity"):
            found[name].values[quantity] = np.ones((SEEDS, 101))
    return found


def test_claims_of_all_kinds_are_tried_here():
    assert set(KINDS) == {*TESTS, "open"} == set(evidence.STATISTIC)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_all_columns(kind):
    row = evidence.evidence([asked(kind)], stored().__getitem__).iloc[0]
    assert set(row.index) | {"study", "study_title"} == COLUMNS
    assert (row["cell"], row["place"], row["test"]) == ("s/one", "r = 2", kind)
    if kind == "open":
        assert (row["note"], row["runs"], row["seeds"]) == ("not tested here: nobody can.", "", 0)
        assert np.isnan(row[["effect", "low", "high", "p_support", "p_refute"]].astype(float)).all()
        return
    assert "{" not in row["statistic"]
    assert row["seeds"] == SEEDS
    assert row["compared"] == "A"
    assert row["against"] == ("B" if "against" in KINDS[kind] else "")
    assert row["runs"] == " ".join(dict.fromkeys([*asked(kind).runs, *asked(kind).against]))
    if kind != "predicted":
        step = r" at 2(\.0)?" if "values" in KINDS[kind] else ""
        assert re.match(f"A{step}: 2 of 20 seeds not at a plateau", row["unsettled"])
        assert re.match(f"A{step}: 1 of 20 seeds diverged", row["diverged"])


def test_what_still_moves_is_said_of_the_end_too():
    one = claim("lower", against="B", at="end")
    row = evidence.evidence([Asked(one, "s/one", "", ("a",), ("b",))], stored().__getitem__).iloc[0]
    assert row["unsettled"].startswith("A: 2 of 20 seeds not at a plateau")
    assert row["pairs"] == SEEDS - 1  # all but the one in which both diverged


def table(p_support, p_refute):
    return pd.DataFrame({"test": "lower", "p_support": p_support, "p_refute": p_refute})


def test_holm_runs_over_both_sides_of_all_tests():
    rows = table([1e-6, 0.011, 1.0, 0.9], [1.0, 0.99, 1e-5, 0.2])
    found = verdicts(rows)
    assert found["verdict"].tolist() == ["supported", "undecided", "refuted", "undecided"]
    assert found.loc[0, "p_support"] == pytest.approx(8e-6)
    assert found.loc[2, "p_refute"] == pytest.approx(7e-5)
    assert found.loc[1, "p_support"] == pytest.approx(6 * 0.011)  # alone it would be below 5 %
    assert rows.loc[0, "p_support"] == 1e-6


def test_tests_of_all_studies_are_corrected_together():
    one = table([0.02], [0.98]).assign(study="s")
    assert scorecard([one])["verdict"].tolist() == ["supported"]
    assert scorecard([one, table([0.3], [0.6]).assign(study="t")])["verdict"].tolist() == ["undecided"] * 2


def test_an_open_claim_is_undecided_and_no_test():
    opened = table([np.nan], [np.nan]).assign(test="open")
    found = scorecard([table([0.02], [0.98]), opened])
    assert found["verdict"].tolist() == ["supported", "undecided"]
    assert np.isnan(found.loc[1, "p_support"])
    assert scorecard([opened])["verdict"].tolist() == ["undecided"]


def test_a_whole_scorecard_of_nothing_seldom_finds_anything():
    """30 claims of which none is true: in 5 % of scorecards, at most, one is supported or refuted."""
    generator = np.random.default_rng(2)
    wrong = []
    for _ in range(60):
        pairs = [[run(np.exp(generator.normal(size=SEEDS))) for _ in range(2)] for _ in range(30)]
        names = {f"{place}{side}": pairs[place][side] for place in range(30) for side in (0, 1)}
        requests = [Asked(LOWER, f"s/{place}", "", (f"{place}0",), (f"{place}1",)) for place in range(30)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("byzcode.analysis.comparisons.interval", lambda values: (1.0, 1.0, 1.0))  # slow, and no test
            wrong.append((verdicts(evidence.evidence(requests, names.__getitem__))["verdict"] != "undecided").any())
    assert np.mean(wrong) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_a_stored_run_is_the_run_that_was_trained(make_spec, tmp_path):
    one = make_spec(seeds=4, redundancy=6, allocation={"name": "random", "side": "subset"})
    held = file.draw(one.allocation_spec)
    measured = train(one, held)
    path = tmp_path / "run.nc"
    trajectory.write(path, one, measured, held, device="cpu", threads=1, wall_seconds=1.0, cpu_seconds=1.0)
    left, right = of_dataset(trajectory.open(path)), of_measurements(one, measured, held)
    assert left.spec == right.spec
    assert left.values.keys() == right.values.keys()
    for name in left.values:
        np.testing.assert_array_equal(left.values[name], right.values[name])
    np.testing.assert_array_equal(left.diverged, right.diverged)


# --- which runs a claim means ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def configured():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return load_plan_file("config/config.yaml")


@pytest.fixture(scope="module")
def cells(configured):
    return {cell.name: cell for planned in configured.studies.values() for cell in planned.cells}


def test_every_configured_claim_has_tests_and_runs(configured, cells):
    count = 0
    for planned in configured.studies.values():
        for each in planned.study.claims:
            mine = [cell for cell in planned.cells if cell.claim is each]
            assert mine, each.claim
            count += len(mine)
            for cell in mine:
                runs = [member.spec.run_id for member in (*cell.runs, *cell.against)]
                assert bool(runs) != isinstance(each, Open)
                assert set(runs) <= set(configured.runs)
                assert len(runs) == len(set(runs)), cell.name  # none of them compares a run with itself
    assert count == len(cells)  # each name once


def test_a_test_says_where_on_the_grid_it_stands(cells):
    """What a claim fixes there is a condition of its verdict: at -2 the plain mean is not beaten."""
    assert cells["cra-a/below-sgc-dl/median"].request()["place"] == "attack.coefficient = -5, aggregation = median"


def test_all_compared_runs_have_the_same_data_and_seeds(cells):
    for cell in cells.values():
        specs = [member.spec for member in (*cell.runs, *cell.against)]
        varied = {"sigma_h"} if getattr(cell.claim, "along", "") == "problem.sigma_h" else set()
        for one, other in itertools.pairwise(specs):
            assert one.seeds == other.seeds
            data = [{**each.problem.model_dump(), **dict.fromkeys(varied)} for each in (one, other)]
            assert data[0] == data[1], cell.name
            assert (one.step_size, one.iterations, one.devices) == (other.step_size, other.iterations, other.devices)


ATTACKS = {
    "cra-a": ("sign_flip", -5.0, 0.2),
    "cra-b": ("gaussian", None, 0.03),
    "cra-c": ("sample_duplicating", None, 0.4),
}


@pytest.mark.parametrize("study", ATTACKS)
@pytest.mark.parametrize(("method", "redundancy"), [("ma", 1), ("rba_dl", 1), ("sgc_dl", 40)])
@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "phocas"])
def test_the_orderings_of_cra_dl_are_of_the_runs_that_they_name(study, method, redundancy, rule, cells):
    cell = cells[f"{study}/below-{method.replace('_', '-')}/{rule}"]
    (one,), (other,) = ([member.spec for member in side] for side in (cell.runs, cell.against))
    attack, coefficient, alpha = ATTACKS[study]
    assert (one.method, one.redundancy, one.aggregation.name, one.encoding.name) == ("cra_dl", 40, rule, "uniform")
    assert (other.method, other.redundancy) == (method, redundancy)
    assert other.aggregation.name == (rule if method == "rba_dl" else "mean")
    for each in (one, other):
        assert (each.attack.name, each.attack.options.get("coefficient")) == (attack, coefficient)
        assert (each.byzantine.alpha, each.byzantine.identities) == (alpha, "redrawn")
        assert (each.devices, each.subsets, len(each.seeds)) == (100, 1000, 20)
    assert cell.place == {"aggregation": rule}


def specs_of(cell):
    return [[member.spec for member in side] for side in (cell.runs, cell.against)]


def test_the_other_claims_are_of_the_runs_that_they_name(cells):
    runs, _ = specs_of(cells["cra-d/error-falls/median"])
    assert [each.redundancy for each in runs] == [10, 20, 30, 40, 50]
    assert {(each.method, each.aggregation.name) for each in runs} == {("cra_dl", "median")}
    runs, against = specs_of(cells["cra-e/advantage-grows-ratio/phocas"])
    assert [each.problem.options["sigma_h"] for each in runs] == [0, 0.25, 0.5]
    assert [each.problem.options["sigma_h"] for each in against] == [0, 0.25, 0.5]
    assert {(each.method, each.redundancy) for each in (*runs, *against)} == {("cra_dl", 40), ("rba_dl", 1)}
    (one,), (other,) = specs_of(cells["cra-f/as-exact-coding/trimmed_mean"])
    assert (other.method, other.redundancy, other.f, one.f) == ("draco_cyclic", 110, 5, 5)
    (one,), (other,) = specs_of(cells["cra-f/as-clairvoyant/trimmed_mean"])
    assert (other.method, other.redundancy, other.allocation_spec) == ("clairvoyant", 40, one.allocation_spec)
    (one,), (other,) = specs_of(cells["cra-identities/redrawn-is-stronger/median"])
    assert (one.byzantine.identities, other.byzantine.identities) == ("persistent", "redrawn")
    (one,), (other,) = specs_of(cells["lad-a/below-cwtm/sign_flip -2"])
    assert (one.method, one.redundancy, other.method, other.redundancy) == ("lad", 20, "cwtm", 1)
    assert one.attack == other.attack
    assert one.attack.options["coefficient"] == -2
    (one,), (other,) = specs_of(cells["lad-d/nnm-helps/random_k 0.3"])
    assert one.compression == other.compression
    assert one.compression.options["share"] == 0.3
    assert (one.pre_aggregation.name, other.pre_aggregation.name) == ("nnm", "none")
    (one,), () = specs_of(cells["coded-variance/sampled-40"])
    assert (one.redundancy, one.subsets) == (40, 1000)


SMALL = {
    "study": "small",
    "title": "A small study",
    "base": {
        "problem.subsets": 12,
        "problem.dimension": 3,
        "devices": 6,
        "iterations": 5,
        "seeds": 2,
        "aggregation": "median",
    },
    "grid": {"attack": [{"name": "sign_flip", "coefficient": -5}, "ipm"]},
    "curves": [
        {"label": "RBA-DL", "method": "rba_dl"},
        {"label": "CRA-DL", "method": "cra_dl", "grid": {"redundancy": [4, 6, 12]}},
    ],
    "plots": {"who": {"kind": "sweep", "x": "redundancy", "columns": "attack", "caption": "c", "curves": ["CRA-DL"]}},
}
GOOD = {
    **WORDS,
    "test": "lower",
    "curve": {"curve": "CRA-DL", "where": {"redundancy": 6}},
    "against": "RBA-DL",
    "each": ["attack"],
}
FALLS = {**WORDS, "test": "falls", "curve": "CRA-DL", "along": "redundancy", "values": [4, 6], "each": ["attack"]}


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """The cells of the small study with other claims."""
    monkeypatch.chdir(ROOT)

    def plan(*claims, **changes):
        import yaml

        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump({**copy.deepcopy(SMALL), "claims": list(claims), **changes}))
        return load_plan({"studies": [str(path)]}).studies["small"].cells

    return plan


def test_a_good_claim_has_a_test_at_each_place(planned):
    found = planned(GOOD, {**FALLS, "claim": "two"})
    assert [cell.name for cell in found] == [
        "small/one/sign_flip -5",
        "small/one/ipm",
        "small/two/sign_flip -5",
        "small/two/ipm",
    ]
    assert found[0].request()["place"] == "attack = sign_flip -5"
    assert [member.spec.attack.name for member in (*found[1].runs, *found[1].against)] == ["ipm", "ipm"]
    assert [member.spec.redundancy for member in found[2].runs] == [4, 6]


MISTAKES = {
    "an unknown curve": ({"against": "RBA"}, "claims[0].against = 'RBA': not a curve of this study; did you mean"),
    "an unknown key": (
        {"where": {"redundncy": 4}},
        "claims[0].curve.where = 'redundncy': not a grid key of this study; did you mean 'redundancy'?",
    ),
    "a key of another curve": (
        {"against": {"curve": "RBA-DL", "where": {"redundancy": 4}}},
        "claims[0].against.where = 'redundancy': 'RBA-DL' does not run through it; allowed: attack",
    ),
    "an unknown value": (
        {"curve": {"curve": "CRA-DL", "where": {"redundancy": 5}}},
        "claims[0].curve = 'CRA-DL': must be one run, but 0 match; its grid has no ",
    ),
    "an unknown value of a place": (
        {"where": {"attack": "gaussian"}},
        "claims[0].where.attack = 'gaussian': not a value of the grid; allowed: sign_flip -5, ipm",
    ),
    "an ambiguous side": (
        {"curve": "CRA-DL"},
        "claims[0].curve = 'CRA-DL': must be one run, but 3 match; say more of redundancy",
    ),
    "no grid key": (
        {"each": ["aggregation"]},
        "claims[0].each = 'aggregation': not a key of the study's grid; ",
    ),
    "an unknown plot": ({"figure": "how"}, "claims[0].figure = 'how': not a plot of this study; allowed: who"),
    "an unknown kind": ({"test": "higher"}, "claims[0].test = 'higher': unknown name; allowed: lower, "),
    "an unknown field": ({"margn": 2}, "claims[0].margn = 2: unknown key; "),
    "a margin below 1": (
        {"test": "equivalent", "margin": 0.5},
        "claims[0].margin = 0.5: input should be gr",
    ),
    "what is open has no runs": (
        {"test": "open"},
        "claims[0].against = 'RBA-DL': unknown key; allowed: claim, says, source, mark, test, reason",
    ),
    "a run and itself": (
        {"against": {"curve": "CRA-DL", "where": {"redundancy": 6}}},
        "claims[0].against = 'CRA-DL': the same run as that of the curve",
    ),
    "along what does not vary": (
        {"test": "falls", "curve": "RBA-DL", "along": "redundancy", "values": [4, 6], "against": None},
        "claims[0].along = 'redundancy': some runs of 'RBA-DL' are the same along it",
    ),
    "a factor of nothing": (
        {
            "test": "law",
            "curve": "CRA-DL",
            "along": "redundancy",
            "values": [4, 12],
            "predicted": "coded_variance",
            "margin": 0.2,
            "against": None,
        },
        "claims[0].curve = 12: redundancy must be below 12 (the number of subsets, M)",
    ),
}


@pytest.mark.parametrize(("changes", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gives_one_line(changes, says, planned, tmp_path):
    wrong = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    with pytest.raises(UserError) as caught:
        planned(wrong)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/small.yaml: {says}")


def test_a_claim_twice_gives_one_line(planned, tmp_path):
    with pytest.raises(UserError) as caught:
        planned(GOOD, FALLS)
    assert str(caught.value) == f"{tmp_path}/small.yaml: claims[1].claim = 'one': each name once in a study"


def test_seeds_that_are_no_pairs_give_one_line(planned):
    curves = copy.deepcopy(SMALL["curves"])
    curves[0]["seeds"] = 3
    with pytest.raises(UserError, match=r"claims\[0\]\.curve = \(0, 1\): seeds must be the same in all runs"):
        planned(GOOD, curves=curves)


def test_a_study_that_trains_nothing_has_no_test(planned):
    plots = {"who": {"kind": "allocation", "caption": "c"}}
    with pytest.raises(UserError, match=r"claims\[0\]\.test = 'lower': this study trains nothing"):
        planned(GOOD, plots=plots)
    opened = {key: WORDS[key] for key in RECORD} | {"test": "open", "reason": "Why not."}
    assert [cell.name for cell in planned(opened, plots=plots)] == ["small/one"]


def test_an_option_alone_does_not_tell_components_apart(planned):
    grid = {"attack": [{"name": "sign_flip", "coefficient": -5}, {"name": "sign_flip", "coefficient": -2}]}
    wrong = {**GOOD, "each": [], "where": {"attack": "sign_flip"}}
    with pytest.raises(UserError, match="must be one run, but 2 match; say the options as well"):
        planned(wrong, grid=grid)
