"""Prices: worst cases, costs and Pareto fronts are those of the stored runs, and mistakes in a study give one line."""

from __future__ import annotations

import numpy as np
import pytest
from degenerate import caption
from hypothesis import given
from hypothesis import strategies as st
from made_up import ATTACKS, CURVES, LINES, RULES, SEEDS, SHARES, drawing, level, planner, runs, stored

from byzcode.analysis.pareto import efficient
from byzcode.errors import UserError
from byzcode.training.status import Status

PRICE = {"kind": "price", "over": "attack", "caption": "Points."}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    return planner(tmp_path, monkeypatch)


def test_a_front_of_known_points():
    costs, levels = [1, 1, 2, 3, 3, 4, 5], [5, 6, 4, 4, 2, np.inf, np.nan]
    assert efficient(costs, levels).tolist() == [True, False, True, False, True, False, False]
    assert efficient([1, 1], [2, 2]).tolist() == [True, True]  # equal points do not beat each other


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_a_point_is_on_the_front_exactly_if_none_beats_it(points):
    def beats(one, other):
        return one != other and one[0] <= other[0] and one[1] <= other[1]

    expected = [not any(beats(one, other) for one in points) for other in points]
    assert efficient(*zip(*points, strict=True)).tolist() == expected


@pytest.mark.parametrize(
    ("base", "quantity"), [(LINES, "excess_loss"), (SHARES, "test_accuracy"), (SHARES, "test_error")]
)
def test_points_are_the_worst_case_and_the_costs_of_a_device(plan, tmp_path, base, quantity):
    more = quantity == "test_accuracy"
    curves = [*CURVES[:2], {"label": "LAD", "method": "lad", "redundancy": 3}]
    planned = stored(plan({"heat": PRICE | {"y": quantity, "hue": "aggregation"}}, base, curves), tmp_path)
    table = drawing(planned, tmp_path).data.set_index(["curve", "aggregation"])
    assert len(table) == len(curves) * len(RULES)
    for (curve, rule), row in table.iterrows():
        levels = np.stack([level(runs(planned, curve, aggregation=rule, attack=attack)[0]) for attack in ATTACKS])
        worst = levels.min(axis=0) if more else levels.max(axis=0)
        np.testing.assert_allclose(row[f"{quantity}_median"], np.median(worst), rtol=1e-12)
        np.testing.assert_allclose(
            row[[f"{quantity}_q25", f"{quantity}_q75"]].tolist(), np.quantile(worst, [0.25, 0.75]), rtol=1e-12
        )
        assert row["seeds"] == SEEDS
    # Ten subsets: a device of RBA-DL computes with one, of CRA-DL with four, of LAD, whose tasks move, with three.
    assert table["computation"].groupby("curve").first().to_dict() == {"RBA-DL": 0.1, "CRA-DL": 0.4, "LAD": 0.3}
    assert table["storage"].groupby("curve").first().to_dict() == {"RBA-DL": 0.1, "CRA-DL": 0.4, "LAD": 1.0}
    # Eight of ten devices are honest: the last of them takes 1 + 1 + 1/2 + ... + 1/8 times the least time.
    wait = 1 + sum(1 / n for n in range(1, 9))
    np.testing.assert_allclose(table["time"], wait * table["computation"], rtol=1e-12)
    sign = -1.0 if more else 1.0
    front = efficient(table["computation"], sign * table[f"{quantity}_median"])
    assert [("computation" in fronts) for fronts in table["on_front_of"]] == front.tolist()


def test_a_method_that_fixes_the_rule_is_a_single_point(plan, tmp_path):
    planned = stored(plan({"heat": PRICE | {"hue": "aggregation"}}), tmp_path)
    table = drawing(planned, tmp_path).data
    assert (table["curve"] == "Exact").sum() == 1


def test_a_curve_whose_seeds_end_early_under_one_attack_has_no_number(plan, tmp_path):
    planned = plan({"heat": PRICE}, LINES | {"aggregation": "median"}, CURVES[:2], {"attack": ATTACKS})
    stored(planned, tmp_path, ended=lambda spec: 4 if (spec.method, spec.attack.name) == ("rba_dl", "alie") else 0)
    drawn = drawing(planned, tmp_path)
    rows = drawn.data.set_index("curve")
    assert rows.loc["RBA-DL", "ended"] == Status.DIVERGED.word
    assert rows.loc["RBA-DL", "worst"] == "ALIE"
    assert rows.loc["RBA-DL", "on_front_of"] == ""
    assert rows.loc["CRA-DL", "on_front_of"] == "computation, bits, storage and time"
    assert "On the front of bits: CRA-DL." in caption(drawn)
    assert "diverged" in [text.get_text() for text in drawn.page.figure.legends[0].get_texts()]


def test_the_time_is_the_recorded_one_where_devices_are_late(plan, tmp_path):
    """Two of eight honest devices are left out. Seeds that ended count until then."""
    late = {"label": "First", "method": "rba_dl", "absence": {"name": "slowest", "share": 0.2}}
    planned = plan({"heat": PRICE}, LINES | {"aggregation": "median"}, [CURVES[0], late], {"attack": ATTACKS})
    stored(planned, tmp_path, ended=lambda spec: 2)
    drawn = drawing(planned, tmp_path)
    times = drawn.data.set_index("curve")["time"]
    assert times["First"] == pytest.approx(3.0 / 10)  # of ten subsets
    assert times["RBA-DL"] == pytest.approx((1 + sum(1 / n for n in range(1, 9))) / 10)
    assert "On the front of time: " in caption(drawn)
    assert "Time: a device that computes r gradients takes r (1 + E)" in caption(drawn)


@pytest.mark.parametrize("costs", [["time"], ["computation", "bits", "storage"], ["bits", "time"]])
def test_a_panel_for_each_cost(plan, tmp_path, costs):
    planned = stored(plan({"heat": PRICE | {"costs": costs, "hue": "aggregation"}}), tmp_path)
    drawn = drawing(planned, tmp_path)
    assert len(drawn.page.figure.axes) == len(costs)
    assert ("Time:" in caption(drawn)) == ("time" in costs)


def test_seeds_that_do_not_pair_are_refused(plan):
    curves = [CURVES[0] | {"grid": {"seeds": [[0, 1, 2], [3, 4, 5]]}}]
    with pytest.raises(UserError, match=r"plots\.heat\.over.*differ in their seeds; allowed: the same seeds"):
        plan({"heat": PRICE | {"hue": "seeds"}}, LINES | {"aggregation": "median"}, curves, {"attack": ATTACKS})


def test_an_unknown_cost_is_named(plan):
    with pytest.raises(UserError, match=r"plots\.heat.*costs"):
        plan({"heat": PRICE | {"costs": ["patience"]}})
