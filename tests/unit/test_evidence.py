"""Rows of evidence, and verdicts over all of them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from unit.claim_runs import DOWN, LOWER, SEEDS, claim, run, scattered

from byzcode.analysis import evidence
from byzcode.analysis.comparisons import TESTS
from byzcode.analysis.evidence import ClaimTest, scorecard
from byzcode.analysis.levels import of_measurements, of_stored
from byzcode.analysis.marks import verdicts
from byzcode.storage import allocations, trajectories
from byzcode.training.workers import train

#: The columns of the table behind the scorecard.
COLUMNS = {
    *("study", "study_title", "claim", "cell", "place", "says", "source", "mark", "test", "statistic", "confirms"),
    *("refutes", "compared", "against", "effect", "low", "high", "unit", "neutral", "band_low", "band_high"),
    *("p_support", "p_refute", "pairs", "seeds", "unsettled", "ended", "note", "figure", "runs"),
    *("kind", "controls", "p_support_missing", "p_refute_missing", "seeds_support", "seeds_refute", "tested"),
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
    return ClaimTest(one, name, "r = 2", runs, ("b", "c")[: len(runs)] if "against" in KINDS[kind] else ())


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
        assert re.match(f"A{step}: 1 of 20 seeds diverged", row["ended"])


def test_what_still_moves_is_said_of_the_end_too():
    one = claim("lower", against="B", at="end")
    row = evidence.evidence([ClaimTest(one, "s/one", "", ("a",), ("b",))], stored().__getitem__).iloc[0]
    assert row["unsettled"].startswith("A: 2 of 20 seeds not at a plateau")
    assert row["pairs"] == SEEDS - 1  # all but the one in which both diverged


def table(p_support, p_refute, **more):
    """Rows of evidence; missing seeds change nothing unless said."""
    about = {
        "study": "s",
        "claim": "one",
        "place": "",
        "test": "lower",
        "controls": "",
        "compared": "A",
        "against": "B",
    }
    seeds = {"seeds": SEEDS, "seeds_support": SEEDS, "seeds_refute": SEEDS}
    values = {"p_support": p_support, "p_refute": p_refute}
    missing = {f"{name}_missing": value for name, value in values.items()}
    return pd.DataFrame({**about, **seeds, **values, **missing, **more})


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
        requests = [ClaimTest(LOWER, f"s/{place}", "", (f"{place}0",), (f"{place}1",)) for place in range(30)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("byzcode.analysis.ratios.interval", lambda values: (1.0, 1.0, 1.0))  # slow, and no test
            wrong.append((verdicts(evidence.evidence(requests, names.__getitem__))["verdict"] != "undecided").any())
    assert np.mean(wrong) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_a_stored_run_is_the_run_that_was_trained(make_spec, tmp_path):
    one = make_spec(seeds=4, redundancy=6, allocation={"name": "random", "side": "subset"})
    assigned = allocations.draw(one.allocation_spec)
    measured = train(one, assigned)
    path = tmp_path / "run.nc"
    trajectories.write(path, one, measured, assigned, device="cpu", threads=1, wall_seconds=1.0, cpu_seconds=1.0)
    left, right = of_stored(trajectories.load(path)), of_measurements(one, measured, assigned)
    assert left.spec == right.spec
    assert left.values.keys() == right.values.keys()
    for name in left.values:
        np.testing.assert_array_equal(left.values[name], right.values[name])
    np.testing.assert_array_equal(left.status, right.status)
