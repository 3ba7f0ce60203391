"""What is recommended: the least floor that fits the budgets, and why nothing does."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from byzcode import bounds, theory
from byzcode.cli import app
from byzcode.compression import COMPRESSORS
from byzcode.errors import UserError
from byzcode.randomness import Draws, Stream
from byzcode.recommend import LARGEST, NUMBER, Need, measured, measurements, need, recommend, shortenings, table
from byzcode.studies.spec import RunSpec
from byzcode.theory import DELTA

LAD = {"devices": 100, "alpha": 0.2, "heterogeneity": 10.0, "gradients": 2000}


def advice(**changes):
    return recommend(need(**LAD | changes))


def listed(found):
    return {(one.method, one.before): one for one in found}


def test_lad_is_best_where_draco_does_not_fit():
    found, refused = advice()
    best = found[0]
    assert (best.method, best.redundancy, best.rule, best.before) == ("lad", 20, "trimmed_mean", "none")
    expected = bounds.redrawn_tasks(100, 100, 20, 20).floor(20 / 60) * 10.0**2
    assert best.floor == pytest.approx(expected)
    assert (best.gradients, best.bits) == (2000, 100 * 3200)
    assert any("41 copies of each subset are 4100 gradients, more than 2000" in reason for reason in refused)
    assert [one.floor for one in found] == sorted(one.floor for one in found)


def test_every_method_is_there_with_its_own_bound():
    found = listed(advice()[0])
    kappa = 20 / 60
    for method, expected in {
        "cra_dl": bounds.sampled_lists(100, 100, 20, 20),
        "rba_dl": bounds.redrawn_tasks(100, 100, 1, 20),
    }.items():
        assert found[method, "none"].floor == pytest.approx(float(expected.floor(kappa)) * 100)
        behind = float(expected.floor(theory.kappa_after_nnm(kappa, 100, 20))) * 100
        assert found[method, "nnm"].floor == pytest.approx(behind)
    assert found["rba_dl", "none"].worst == pytest.approx((kappa + 1) * 100 / 80 * 100)
    assert found["rba_dl", "none"].gradients == 100
    assert {one.method: one.kept for one in found.values()} == {"lad": False, "cra_dl": True, "rba_dl": True}


def test_draco_is_best_where_its_copies_fit():
    found, _ = advice(gradients=4100)
    assert (found[0].method, found[0].redundancy, found[0].floor) == ("draco_cyclic", 41, 0)
    assert found[0].bits == 100 * 2 * 3200  # a codeword is complex
    assert listed(advice(gradients=4099)[0]).keys() == listed(advice()[0]).keys()
    few, _ = recommend(need(devices=9, alpha=0.1, heterogeneity=1.0, gradients=27))
    assert (few[0].method, few[0].redundancy, few[0].bits) == ("draco_repetition", 3, 9 * 3200)  # half the bits
    _, refused = advice(gradients=4100, bits=100 * 3200)
    assert any("its messages are 640000 bits" in reason for reason in refused)


def test_every_recommendation_is_a_run():
    """What it settles is accepted as a run, costs what is said, and has the constant that is said."""
    asked = need(devices=20, alpha=0.1, heterogeneity=1.0, gradients=120, bits=20 * 900)
    for one in recommend(asked)[0]:
        spec = RunSpec.parse(
            {
                "devices": 20,
                "problem": {"name": "linear_regression", "subsets": 20, "dimension": 100},
                "byzantine": {"alpha": 0.1},
                **one.curve,
            },
            "a recommendation",
        )
        assert spec.f == asked.f
        assert one.gradients == 20 * spec.redundancy <= 120
        assert one.bits <= 20 * 900
        assert bounds.kappa_of(spec) is not None or bounds.is_exact(spec)


@pytest.mark.parametrize("dimension", [1, 2, 10, 100, 1000])
@pytest.mark.parametrize("most", [32, 100, 1000, math.inf])
def test_messages_are_as_long_as_they_are_said_to_be(dimension, most):
    draws = Draws([Stream(0, "test")], 0, like=torch.zeros(1, dtype=torch.float64))
    found = list(shortenings(dimension, most))
    for one in found:
        sent = COMPRESSORS[one.name](torch.ones(1, 3, dimension, dtype=torch.float64), draws, NUMBER, **one.options)
        assert sent.bits == one.bits <= most
        assert one.name in theory.UNBIASED
    assert found or dimension > 1
    assert (found[0].name == "identity") == (most >= NUMBER * dimension)
    if most == 100 and dimension == 100:
        assert {one.options["mask"]: one.bits for one in found} == {"independent": 2 * 39, "shared": 3 * 32}


def test_the_compressor_with_the_least_floor_is_taken():
    found, refused = advice(bits=100 * 1500, alpha=0.05)
    best = found[0]
    assert best.method == "com_lad"
    delta, floors = None, []
    for short in shortenings(100, 1500):
        delta = DELTA[short.name](100, **short.options)
        lists = bounds.redrawn_tasks(100, 100, 20, 5)
        whole = bounds.compressed(lists, delta, 95, shared=short.options.get("mask") == "shared")
        floors.append(float(whole.floor(5 / 90)) * 100)
    assert best.floor == pytest.approx(min(floors))
    assert advice(alpha=0.05)[0][0].floor < best.floor  # it costs something
    assert best.worst is None
    assert not any("LAD:" in reason for reason in refused)


def test_what_no_bound_covers_is_not_recommended():
    with pytest.raises(UserError, match=r"nothing that fits has a bound: .*RBA-DL: no bound"):
        recommend(need(devices=20, alpha=0.2, heterogeneity=1.0, gradients=20, bits=20 * 150))


def test_without_liars_the_mean_is_best():
    best = advice(alpha=0.0)[0][0]
    assert (best.floor, best.gradients) == (0, 100)  # one copy of each subset is enough
    sampled = listed(advice(alpha=0.0)[0])["cra_dl", "none"]
    assert sampled.floor > 0  # it draws some subsets twice and others never


def test_more_subsets_than_devices():
    found = listed(advice(subsets=1000, gradients=4000)[0])
    assert (found["cra_dl", "none"].redundancy, found["lad", "none"].redundancy) == (40, 40)
    assert found["rba_dl", "none"].redundancy == 10
    assert found["cra_dl", "none"].floor > found["lad", "none"].floor
    few, refused = advice(subsets=1000, gradients=1500)
    assert "lad" not in {one.method for one in few}
    assert any(reason.startswith("LAD: it needs 2 tasks of 10 gradients") for reason in refused)
    odd, refused = advice(subsets=1001, gradients=4000)
    assert any("multiple of 100 subsets; got 1001" in reason for reason in refused)
    assert "1 subsets to none" in listed(odd)["rba_dl", "none"].reason


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alpha": 0.5}, "--alpha = 0.5: allowed: 0 to less than 1/2"),
        ({"alpha": -0.1}, "--alpha = -0.1: allowed: 0 to less than 1/2"),
        ({"alpha": math.nan}, "--alpha = nan: allowed: 0 to less than 1/2"),
        ({"alpha": 0.45, "devices": 2, "subsets": 2}, "f = 1 of 2 devices lie"),
        ({"devices": 0}, "--devices = 0: allowed: 1 or more"),
        ({"dimension": 0}, "--dimension = 0: allowed: 1 or more"),
        ({"heterogeneity": -1.0}, "--heterogeneity = -1.0: allowed: 0 or more"),
        ({"heterogeneity": math.inf}, "--heterogeneity = inf: allowed: 0 or more"),
        ({"subsets": 99}, "--subsets = 99: allowed: 100 or more"),
        ({"subsets": LARGEST}, f"allowed: up to {LARGEST // 100} for 100 devices"),
        ({"gradients": 99}, "--budget-gradients = 99: allowed: 100 or more, one gradient for each device"),
        ({"bits": 3199}, "--budget-bits = 3199: allowed: 3200 or more; no compressor sends less"),
    ],
)
def test_a_wrong_request_says_why(changes, said):
    with pytest.raises(UserError, match=r"^byzcode recommend: ") as error:
        need(**LAD | changes)
    assert said in str(error.value)


# --- beside what was measured ----------------------------------------------------------------------------------------


def rows(**changes):
    row = {
        "devices": 100,
        "alpha": 0.2,
        "method": "lad",
        "redundancy": 20,
        "aggregation": "trimmed_mean",
        "pre_aggregation": "none",
        "compression": "identity",
        "attack": "alie",
        "gradient_norm_median": 0.3,
        "heterogeneity_median": 6.0,
    }
    return pd.DataFrame([row | changes])


def test_what_was_measured_is_relative_to_the_heterogeneity():
    best = advice()[0][0]
    several = pd.concat(
        [
            rows(),
            rows(attack="sign_flip", gradient_norm_median=0.1),
            rows(redundancy=41, gradient_norm_median=99.0),
            rows(aggregation="median", gradient_norm_median=99.0),
            rows(method="cra_dl", gradient_norm_median=99.0),
        ],
        ignore_index=True,
    )
    assert measured(best, several, 10.0) == "0.25 (r = 20, alie)"
    assert measured(best, rows(method="cra_dl"), 10.0) == ""
    assert measured(best, rows(redundancy=30), 10.0) == "0.25 (r = 30, alie)"  # the nearest there is
    assert measured(best, rows(redundancy=41), 10.0) == ""  # another thing
    infinite = rows(gradient_norm_median=math.inf, heterogeneity_median=math.inf)
    assert measured(best, pd.concat([rows(), infinite], ignore_index=True), 10.0) == "diverged (r = 20, alie)"
    assert measured(best, rows().iloc[:0], 10.0) == ""


def test_only_summaries_of_as_many_devices_and_liars_count(tmp_path):
    folder = tmp_path / "summaries"
    folder.mkdir()
    rows().to_csv(folder / "one.csv", index=False)
    rows(devices=20).to_csv(folder / "other.csv", index=False)
    rows(alpha=0.3).to_csv(folder / "third.csv", index=False)
    (folder / "foreign.csv").write_text("a,b\n1,2\n")
    (folder / "broken.csv").write_bytes(b"\xff\xfe\x00")
    found = measurements(tmp_path, need(**LAD))
    assert found[["devices", "alpha"]].to_numpy().tolist() == [[100, 0.2]]
    assert measurements(tmp_path / "nowhere", need(**LAD)).empty


def test_the_table_says_what_is_measured_and_what_is_a_bound():
    asked = need(**LAD)
    found = advice()[0]
    with_rows, without = table(asked, found, rows()), table(asked, found, rows().iloc[:0])
    assert [column.header for column in with_rows.columns][-1] == "measured"
    assert [column.header for column in without.columns][-1] == "bits"
    assert "for the worst liars" in str(without.caption)


def test_the_command(tmp_path):
    (tmp_path / "summaries").mkdir()
    rows().to_csv(tmp_path / "summaries" / "one.csv", index=False)
    options = ["--devices", "100", "--alpha", "0.2", "--heterogeneity", "10", "--budget-gradients", "2000"]
    result = CliRunner().invoke(app, ["recommend", *options, "--results", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "0.25 (r = 20, alie)" in result.output
    assert "Best by the bounds: LAD. 20 tasks a device" in result.output
    curve = next(line for line in result.output.splitlines() if line.startswith("As a curve"))
    assert json.loads(curve.partition(": ")[2])["redundancy"] == 20
    refused = CliRunner().invoke(app, ["recommend", *options[:-1], "50"])
    assert isinstance(refused.exception, UserError)


def test_a_need_counts_liars_as_a_run_does():
    assert Need(50, 0.29, 1.0, 50, None, 50, 1).f == 15
