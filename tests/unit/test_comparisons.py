"""Each kind of test on runs with a known answer."""

from __future__ import annotations

import re

import numpy as np
import pytest
from unit.claim_runs import DOWN, ENOUGH, LOWER, SEEDS, STEPS, UP, claim, lower, run, scattered, spec, tried

from byzcode.analysis.comparisons import TESTS, quantities_of
from byzcode.analysis.levels import Run, of_measurements
from byzcode.analysis.marks import LEVEL
from byzcode.storage import allocations
from byzcode.theory.constants import coded_variance
from byzcode.training.workers import train

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


def grows(ones, others, advantage, values=(0.0, 0.25, 0.5), shapes=("plateau",) * 3, scale="linear", **more):
    one = claim("grows", against="B", along="problem.sigma_h", values=list(values), advantage=advantage, scale=scale)
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


def test_an_advantage_grows_from_the_first_value_to_the_last_also_if_values_fall():
    up, down = [1, 1, 1], [2, 4, 8]
    found = grows(up, down, "difference", values=(9.0, 3.0, 1.0))
    assert found.p_support < ENOUGH < found.p_refute
    assert found.effect > 0
    other = grows(up, down[::-1], "difference", values=(9.0, 3.0, 1.0))
    assert other.p_refute < ENOUGH < other.p_support
    assert other.effect < 0


def test_growth_over_the_logarithms_of_the_values():
    """The advantage rises by 2 for each power of ten; over the values themselves the last counts for almost all."""
    ones, others, values = [1, 1, 1], [3, 5, 7], (0.01, 0.1, 1.0)
    assert grows(ones, others, "difference", values=values, scale="log").effect == pytest.approx(4, rel=0.05)
    assert grows(ones, others, "difference", values=values).effect == pytest.approx(3.2, rel=0.05)


@pytest.mark.parametrize(
    ("values", "scale", "wrong"),
    [
        ((1.0, 3.0, 2.0), "linear", "allowed: values that rise at every step, or fall"),
        ((1.0, 1.0, 2.0), "linear", "allowed: values that rise at every step, or fall"),
        ((0.0, 1.0, 2.0), "log", "allowed: linear, because values has a number that is not above 0"),
    ],
)
def test_values_in_no_order_are_refused(values, scale, wrong):
    with pytest.raises(ValueError, match=wrong):
        grows([1, 1, 1], [2, 4, 8], "ratio", values=values, scale=scale)


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
        assert (grows(*up, shapes=shapes, values=(3.0, 2.0, 1.0)).p_support < ENOUGH) == support, shapes
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
    assigned = allocations.draw(one.allocation_spec)
    found = tried(claim("predicted", margin=1.2), of_measurements(one, train(one, assigned), assigned))
    assert found.p_support < ENOUGH


def test_two_real_messages_are_as_near_to_each_other_as_the_closed_form_says(make_spec):
    """f of N devices are left out of what is measured, so that H / (H - 1) counts: 5 of 10 here, a factor of 1.25."""
    one = make_spec(iterations=1, seeds=40, devices=10, byzantine={"alpha": 0.4})
    assigned = allocations.draw(one.allocation_spec)
    some = of_measurements(one, train(one, assigned), assigned)
    found, least = (tried(claim("predicted", margin=margin, distance="each_other"), some) for margin in (1.15, 1.01))
    assert found.effect == pytest.approx(1.0, abs=0.1)
    assert least.effect == found.effect


# --- what a test reads -----------------------------------------------------------------------------------------------


class Noting(dict):
    """Values of a run that note which of them are read."""

    def __init__(self):
        super().__init__()
        self.read = set()

    def __missing__(self, quantity):
        self.read.add(quantity)
        return scattered(1.0)[:, None] * np.ones(len(STEPS))


@pytest.mark.parametrize(
    ("test", "more"),
    [
        ("lower", {}),
        ("lower", {"quantity": "aggregation_error"}),
        ("equivalent", {"margin": 1.2}),
        ("falls", {"along": "redundancy", "values": [2, 5]}),
        ("grows", {"along": "redundancy", "values": [2, 5], "advantage": "ratio"}),
        *(
            ("law", {"along": "redundancy", "values": [2, 5], "margin": 0.2, "predicted": predicted})
            for predicted in ("coded_variance", "heterogeneity", "dispersion")
        ),
        *(("predicted", {"margin": 1.1, "distance": distance}) for distance in ("gradient", "each_other")),
    ],
)
def test_a_test_reads_the_quantities_that_it_names(test, more):
    """A reading measures only these."""
    against = {"against": "B"} if test in ("lower", "equivalent", "grows") else {}
    asked, values = claim(test, **against, **more), Noting()
    some = Run(spec(), values, np.zeros(SEEDS, dtype=np.int8))
    TESTS[test](asked, [some] * 2, [some] * 2)
    assert values.read <= quantities_of(asked) <= values.read | {asked.quantity, "coding_bias"}
