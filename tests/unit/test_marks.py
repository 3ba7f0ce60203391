"""Missing seeds, fragile verdicts, and controls that pass: tables with known answers."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from unit.claim_runs import DOWN, SEEDS, UP, equivalent_of, lower, run, scattered

from byzcode.analysis.marks import LEVEL, NEAR, marked, verdicts
from byzcode.analysis.paired import below
from byzcode.analysis.ratios import Chance, all_of, any_of, p_above, p_below

# --- missing seeds ---------------------------------------------------------------------------------------------------


def by_enumeration(signs, ranks):
    """The p-value of "not below" by all 2^n signs of these ranks."""
    found = sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign > 0)
    sums = [
        sum(rank for rank, up in zip(ranks, ups, strict=True) if up)
        for ups in itertools.product((0, 1), repeat=len(ranks))
    ]
    return np.mean([total <= found for total in sums])


values = st.lists(st.sampled_from([-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0]), min_size=1, max_size=8)


@given(values, st.integers(0, 255))
def test_missing_seeds_have_the_largest_rank_and_the_wanted_sign(numbers, which):
    numbers = np.array(numbers)
    known = np.array([bool(which >> place & 1) for place in range(len(numbers))])
    found = p_below(numbers, known)
    size = np.where(known, np.abs(numbers), np.inf)
    ranks = stats.rankdata(size)
    against = by_enumeration(np.where(known, np.sign(numbers), 1), ranks)
    for_it = by_enumeration(np.where(known, np.sign(numbers), -1), ranks)
    assert found.against == pytest.approx(max(against, below(numbers[known])))
    assert found.for_it == pytest.approx(min(for_it, found.p))
    assert found.for_it <= found.p <= found.against
    assert found.seeds == known.sum()


@given(values)
def test_without_missing_seeds_nothing_changes(numbers):
    found = p_below(np.array(numbers), np.ones(len(numbers), dtype=bool))
    assert found.p == found.against == found.for_it == below(np.array(numbers))


def test_no_seed_at_all_is_the_worst_of_a_claim():
    found = p_below(np.zeros(12), np.zeros(12, dtype=bool))
    assert found == (1.0, 1.0, 0.5**12, 0)


def test_a_seed_that_is_known_to_be_above_is_not_missing():
    numbers, known = np.array([-1.0, -2.0, 3.0]), np.array([True, True, False])
    above = np.array([False, False, True])
    assert p_below(numbers, known, bounds=above).for_it == below(numbers) > p_below(numbers, known).for_it
    assert p_below(numbers, known, bounds=above).seeds == 3
    assert p_above(-numbers, known, bounds=above) == p_below(numbers, known, bounds=above)
    # A lower bound that lies below the limit says nothing.
    assert p_below(np.array([-1.0, -2.0, -3.0]), known, bounds=above).seeds == 2


def test_several_tests_are_joined_one_by_one():
    one, other = Chance(0.01, 0.2, 0.001, 9), Chance(0.02, 0.1, 0.002, 12)
    assert all_of(one, other) == (0.02, 0.2, 0.002, 9)
    assert any_of(one, other) == (0.02, 0.2, 0.002, 9)
    assert any_of(Chance(0.7, 0.8, 0.6, 3), Chance(0.9, 1.0, 0.9, 4)) == (1.0, 1.0, 1.0, 3)


@pytest.mark.parametrize("test", [lower, equivalent_of])
def test_runs_that_never_settle_count_against_the_claim(test):
    """The first falls and the second rises: above 1, their ratio is not known, and could be anything."""
    level = scattered(1.0, seed=3)
    settled, moving = run(scattered(5.0)), run(scattered(5.0), DOWN)
    assert test(settled, run(level)).refute.for_it == test(settled, run(level)).p_refute
    unknown = test(moving, run(level, DOWN))
    assert (unknown.p_support, unknown.p_refute) == (1.0, 1.0)
    assert unknown.refute.for_it <= 2 * 0.5**SEEDS


def test_a_bound_on_the_safe_side_is_not_missing():
    """The first still falls and is below already: known to be below, so nothing speaks against it."""
    found = lower(run(scattered(0.1), DOWN), run(scattered(1.0, seed=3)))
    assert found.support.against == found.p_support == 0.5**SEEDS
    assert found.p_refute == found.refute.for_it == 1.0
    assert found.support.seeds == found.refute.seeds == SEEDS
    assert lower(run(scattered(0.1), UP), run(scattered(1.0, seed=3))).support.seeds == 0


# --- verdicts --------------------------------------------------------------------------------------------------------

ROW = {
    "study": "s",
    "claim": "one",
    "place": "",
    "test": "lower",
    "kind": "empirical",
    "mark": "stated",
    "controls": "",
    "compared": "A",
    "against": "B",
    "seeds": 20,
    "seeds_support": 20,
    "seeds_refute": 20,
    "p_support": 1e-6,
    "p_refute": 1.0,
}


def rows(*changes):
    table = pd.DataFrame([{**ROW, **change} for change in changes])
    for name in ("p_support", "p_refute"):
        table[f"{name}_missing"] = [change.get(f"{name}_missing", {**ROW, **change}[name]) for change in changes]
    return table


def judged(*changes):
    return marked(verdicts(rows(*changes)))


@pytest.mark.parametrize(
    ("adjusted", "near"),
    [
        (LEVEL / NEAR, True),
        (LEVEL / NEAR * 0.999, False),
        (LEVEL * 0.999, True),
        (LEVEL, True),
        (LEVEL * NEAR * 0.999, True),
        (LEVEL * NEAR, False),
    ],
)
@pytest.mark.parametrize("side", ["p_support", "p_refute"])
def test_an_adjusted_p_value_within_a_factor_of_the_level_is_near_it(adjusted, near, side):
    alone = judged({"p_support": 1.0, "p_refute": 1.0, side: adjusted / 2}).iloc[0]  # Holm doubles it: two sides
    assert alone[side] == pytest.approx(adjusted)
    assert ("the adjusted p-value is near the level" in alone["fragile"]) == near
    assert (alone["verdict"] != "undecided") == (adjusted < LEVEL)


@pytest.mark.parametrize(("seeds", "few"), [(9, True), (10, False)])
@pytest.mark.parametrize("side", ["support", "refute"])
def test_fewer_than_half_of_the_seeds_are_few_on_the_side_that_decides(seeds, few, side):
    p = {"p_support": 1.0, "p_refute": 1.0, f"p_{side}": 1e-6}
    other = {"support": "refute", "refute": "support"}[side]
    assert bool(judged({**p, f"seeds_{side}": seeds}).loc[0, "fragile"]) == few
    assert not judged({**p, f"seeds_{other}": seeds}).loc[0, "fragile"]
    undecided = {"p_support": 1.0, "p_refute": 1.0}
    assert not judged({**undecided, f"seeds_{side}": seeds}).loc[0, "fragile"]


def test_a_verdict_that_missing_seeds_change_is_fragile():
    found = judged({"p_support_missing": 1.0, "p_refute_missing": 1e-5}, {"p_support_missing": 0.9}, {})
    assert found["verdict"].tolist() == ["supported"] * 3
    assert found["verdict_missing_against"].tolist() == ["refuted", "undecided", "supported"]
    reason = "another verdict if missing seeds count against the claim"
    assert found["fragile"].tolist() == [reason, reason, ""]


def test_missing_seeds_are_corrected_over_all_tests_too():
    found = judged(*[{"p_support_missing": 0.01}] * 3)
    assert found["p_support_missing"].tolist() == pytest.approx([0.06] * 3)
    assert set(found["verdict_missing_against"]) == {"undecided"}


CONTROL = {"claim": "control", "kind": "control", "controls": "one two"}


def test_a_control_that_passes_warns_of_what_it_controls_at_its_place():
    found = judged(
        {"place": "a"},
        {"place": "b"},
        {"claim": "two", "place": "elsewhere"},
        {"claim": "three", "place": "a"},
        {"study": "t", "place": "a"},
        {**CONTROL, "place": "a"},
        {**CONTROL, "place": "b", "p_support": 1.0, "p_refute": 1e-6},
    )
    warned = found["warning"] != ""
    assert warned.tolist() == [True, False, True, False, False, False, False]
    assert found.loc[0, "warning"] == "the control control passes this test, too (A against B)"


def test_a_control_that_fails_or_is_undecided_warns_of_nothing():
    for p_support, p_refute in ((1.0, 1e-6), (1.0, 1.0)):
        found = judged({}, {**CONTROL, "p_support": p_support, "p_refute": p_refute})
        assert found["warning"].tolist() == ["", ""]
