"""What is recommended: the least floor that fits the budgets, and why nothing does."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from vouched import vouched

from byzcode.cli import app
from byzcode.coding import DECODERS
from byzcode.compression import COMPRESSORS
from byzcode.data import files
from byzcode.errors import UserError
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.problems import PROBLEMS
from byzcode.randomness import Draws, Stream
from byzcode.recommend.at_start import SEEDS, measure, problem_of
from byzcode.recommend.choices import METHODS_TRIED, shortenings
from byzcode.recommend.costs import costs_of
from byzcode.recommend.measured import favourite, measured, measurements
from byzcode.recommend.need import LARGEST, MOST_DEVICES, NUMBER, Need, need
from byzcode.recommend.search import recommend, ruled
from byzcode.recommend.table import table
from byzcode.specs.run import RunSpec
from byzcode.theory import bounds, expectations

LAD = {"devices": 100, "alpha": 0.2, "heterogeneity": 10.0, "gradients": 2000}


def advice(**changes):
    return recommend(need(**LAD | changes))


def listed(found):
    return {(one.method, one.before): one for one in found}


def test_lad_is_best_where_draco_does_not_fit():
    found, refused = advice()
    best = found[0]
    assert (best.method, best.redundancy, best.rule, best.before) == ("lad", 20, "trimmed_mean", "none")
    expected = expectations.redrawn_tasks(100, 100, 20, 20).floor(20 / 60) * 10.0**2
    assert best.floor == pytest.approx(expected)
    assert (best.gradients, best.bits) == (2000, 100 * 3200)
    assert any("needs 4100 gradients for 41 copies of each subset, more than 2000" in reason for reason in refused)
    assert [one.floor for one in found] == sorted(one.floor for one in found)


def test_every_method_is_there_with_its_own_bound():
    found = listed(advice()[0])
    kappa = 20 / 60
    for method, expected in {
        "cra_dl": expectations.sampled_lists(100, 100, 20, 20),
        "rba_dl": expectations.redrawn_tasks(100, 100, 1, 20),
    }.items():
        assert found[method, "none"].floor == pytest.approx(float(expected.floor(kappa)) * 100)
        behind = float(expected.floor(PRE_AGGREGATORS["nnm"].kappa(kappa, 100, 20))) * 100
        assert found[method, "nnm"].floor == pytest.approx(behind)
    assert found["rba_dl", "none"].worst == pytest.approx((kappa + 1) * 100 / 80 * 100)
    assert found["rba_dl", "none"].gradients == 100
    assert {one.method: one.kept for one in found.values()} == {"lad": False, "cra_dl": True, "rba_dl": True}


def test_who_redraws_stores_all_and_time_is_that_of_the_last_honest_message():
    found = listed(advice(subsets=1000, gradients=4000)[0])
    asked = need(**LAD | {"subsets": 1000, "gradients": 4000})
    last = 1 + sum(1 / n for n in range(1, 81))
    for method, computed, stored in (("lad", 40, 1000), ("cra_dl", 40, 40), ("rba_dl", 10, 10)):
        costs = costs_of(asked, found[method, "none"])
        assert (costs.stored, costs.time) == (stored, pytest.approx(computed * last))
    exact = costs_of(need(**LAD | {"gradients": 4100}), advice(gradients=4100)[0][0])
    assert (exact.stored, exact.time) == (41, pytest.approx(41 * last))


def test_draco_is_best_where_its_copies_fit():
    found, _ = advice(gradients=4100)
    assert (found[0].method, found[0].redundancy, found[0].floor) == ("draco_cyclic", 41, 0)
    assert found[0].bits == 100 * 2 * 3200  # a codeword is complex
    assert listed(advice(gradients=4099)[0]).keys() == listed(advice()[0]).keys()
    few, _ = recommend(need(devices=9, alpha=0.1, heterogeneity=1.0, gradients=27))
    assert (few[0].method, few[0].redundancy, few[0].bits) == ("draco_repetition", 3, 9 * 3200)  # half the bits
    _, refused = advice(gradients=4100, bits=100 * 3200)
    assert any("its uncompressed messages have 640000 bits" in reason for reason in refused)
    assert any("--budget-bits 640000 would be enough" in reason for reason in refused)
    assert "draco_cyclic" in {one.method for one in advice(gradients=4100, bits=640000)[0]}


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
        assert COMPRESSORS[one.name].unbiased
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
        delta = COMPRESSORS[short.name].delta(100, **short.options)
        lists = expectations.redrawn_tasks(100, 100, 20, 5)
        whole = expectations.compressed(lists, delta, 95, shared=short.options.get("mask") == "shared")
        floors.append(float(whole.floor(5 / 90)) * 100)
    assert best.floor == pytest.approx(min(floors))
    assert advice(alpha=0.05)[0][0].floor < best.floor  # it costs something
    assert best.worst is None
    assert not any("LAD:" in reason for reason in refused)


def test_what_no_bound_covers_is_not_recommended():
    with pytest.raises(UserError, match=r"no configuration within the budgets has a bound \(.*\): .*RBA-DL: no bound"):
        recommend(need(devices=20, alpha=0.2, heterogeneity=1.0, gradients=20, bits=20 * 150))


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_a_refusal_for_lack_of_bits_says_how_many_would_do(alpha):
    asked = {"devices": 20, "alpha": alpha, "heterogeneity": 1.0, "gradients": 40, "dimension": 50}
    with pytest.raises(UserError) as error:
        recommend(need(**asked, bits=20 * 40))
    said = [int(number) for number in re.findall(r"--budget-bits (\d+) would be enough", str(error.value))]
    assert len(said) == 1 + 2 * 3  # of all, and of three methods without and with mixing
    assert said[0] == min(said)
    found, refused = recommend(need(**asked, bits=said[0]))
    assert found[0].bits <= said[0]
    assert not any(f"--budget-bits {said[0]} would be enough" in reason for reason in refused)
    with pytest.raises(UserError, match=f"--budget-bits {said[0]} would be enough"):
        recommend(need(**asked, bits=said[0] - 1))
    assert {one.before for one in recommend(need(**asked, bits=max(said)))[0]} == {"none", "nnm"}
    with pytest.raises(UserError, match=f"--budget-bits = 639: allowed: {said[0]} or more, so that a bound exists"):
        need(**asked, bits=639)


def test_where_nobody_lies_words_fit_a_single_copy():
    found, refused = advice(alpha=0.0, gradients=100)
    assert found[0].reason == "No device is Byzantine, so one copy of each subset gives the exact gradient."
    odd, more = advice(alpha=0.0, subsets=1001)
    said = " ".join([one.reason for one in (*found, *odd)] + refused + more)
    assert not re.search(r"\b1 (copies|subsets|gradients)\b", said)
    assert "no redundancy gives 1 copy of each of 1001 subsets" in said
    assert "2 tasks of 1 gradient per device" in said


def test_the_largest_heterogeneity_is_still_a_number():
    found, _ = advice(heterogeneity=1e150)
    assert [one.method for one in found] == [one.method for one in advice()[0]]
    assert all(math.isfinite(one.floor) and math.isfinite(one.worst) for one in found)


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
    assert "1 subset to none" in listed(odd)["rba_dl", "none"].reason


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alpha": 0.5}, "--alpha = 0.5: allowed: 0 to less than 1/2, of 100 devices 0 to 0.49; no"),
        ({"alpha": -0.1}, "--alpha = -0.1: allowed: 0 to less than 1/2"),
        ({"alpha": math.nan}, "--alpha = nan: allowed: 0 to less than 1/2"),
        (
            {"alpha": 0.45, "devices": 2, "subsets": 2},
            "f = 1 of 2 devices are Byzantine (alpha N, rounded half up), which is not a minority; allowed: 0 to 0",
        ),
        ({"devices": 0}, "--devices = 0: allowed: 1 to 6324"),
        ({"devices": 10**6, "subsets": 40}, "--devices = 1000000: allowed: 1 to 6324"),
        ({"dimension": 0}, "--dimension = 0: allowed: 1 to 100000000, with 100 subsets"),
        ({"dimension": 10**8 + 1}, "--dimension = 100000001: allowed: 1 to 100000000, with 100 subsets"),
        ({"heterogeneity": -1.0}, "--heterogeneity = -1.0: allowed: 0, and 1e-150 to 1e+150"),
        ({"heterogeneity": 1e-200}, "--heterogeneity = 1e-200: allowed: 0, and 1e-150 to 1e+150"),
        ({"heterogeneity": math.inf}, "--heterogeneity = inf: allowed: 0, and 1e-150 to 1e+150"),
        ({"heterogeneity": 1e200}, "--heterogeneity = 1e+200: allowed: 0, and 1e-150 to 1e+150"),
        ({"heterogeneity": math.nan}, "--heterogeneity = nan: allowed: 0, and 1e-150 to 1e+150"),
        ({"subsets": 99}, "--subsets = 99: allowed: 100 to 400000, at least one for each device"),
        ({"subsets": LARGEST}, f"allowed: 100 to {LARGEST // 100}, at least one"),
        ({"gradients": 99}, "--budget-gradients = 99: allowed: 100 or more, one gradient for each device"),
        ({"bits": 3199}, "--budget-bits = 3199: allowed: 53200 or more, so that a bound exists; every"),
    ],
)
def test_a_wrong_request_says_why(changes, said):
    with pytest.raises(UserError, match=r"^byzcode recommend: ") as error:
        need(**LAD | changes)
    assert said in str(error.value)


# --- what is allowed is accepted, and soon answered ------------------------------------------------------------------

NUMBERS = st.sampled_from([-(10**30), -1, 0, 1, 2, 3, 7, 20, 31, 32, 640, 10**4, 10**10, 10**400])
REALS = st.one_of(
    st.sampled_from(
        [0.0, -0.0, 0.1, 0.25, 0.45, 0.4999999999, 0.5, 1.0, -1.0, 1e-320, 1e-200, 1e150, 1e300, math.inf, math.nan]
    ),
    st.floats(),
)


@given(
    st.fixed_dictionaries(
        {
            "devices": st.one_of(st.integers(1, 25), NUMBERS),
            "alpha": REALS,
            "heterogeneity": REALS,
            "gradients": st.one_of(st.integers(1, 2000), NUMBERS),
            "bits": st.one_of(st.none(), NUMBERS),
            "subsets": st.one_of(st.none(), st.integers(1, 60), NUMBERS),
            "dimension": st.one_of(st.integers(1, 200), NUMBERS),
        }
    ),
    st.data(),
)
def test_who_follows_what_is_allowed_gets_an_answer(asked, data):
    """One key after the other is set to an end of what is allowed of it; no other mistake follows."""
    followed = set()
    while True:
        try:
            found, refused = recommend(need(**asked))
        except UserError as error:
            said = str(error)
            assert "\n" not in said
            if "no configuration within the budgets has a bound" in said:
                key, low, high = "bits", re.search(r"\(--budget-bits (\d+) would be enough\)", said)[1], None
            else:
                key = re.match(r"byzcode recommend: --(?:budget-)?([a-z]+) = ", said)[1]
                ranges = re.findall(r"(\d[\d.e+-]*) to (\d[\d.e+-]*)", said)
                low, high = ranges[-1] if ranges else (re.search(r"allowed: (\d+) or more", said)[1], None)
            assert key not in followed, (key, said)
            followed.add(key)
            one = type(asked[key] or 0) if key in ("alpha", "heterogeneity") else int
            # Both ends are in it; of large sizes the lower one, which is soon answered.
            large = key in ("devices", "subsets") or not high
            asked = asked | {key: one(low if large else data.draw(st.sampled_from([low, high])))}
            continue
        assert found
        break
    checked = need(**asked)
    for one in found:
        assert math.isfinite(one.floor)
        assert one.gradients <= checked.gradients
        assert checked.bits is None or one.bits <= checked.bits
        RunSpec.parse(
            {
                "devices": checked.devices,
                "problem": {"subsets": checked.subsets, "dimension": checked.dimension, "name": "linear_regression"},
                "byzantine": {"alpha": checked.alpha},
                "seeds": [0],
                **one.curve,
            },
            "a recommendation",
        )
    for more in {
        int(bits) for reason in refused for bits in re.findall(r"--budget-bits (\d+) would be enough", reason)
    }:
        recommend(need(**asked | {"bits": more}))


@pytest.mark.parametrize("devices", [1, 2, 3, 10, 100, 2000, MOST_DEVICES])
def test_the_limits_of_a_need_agree(devices):
    """What is allowed at most is accepted together with all else that is allowed at most."""
    alpha = {"alpha": (devices - 1) // 2 / devices}
    for subsets in (devices, LARGEST // devices):
        for dimension in (1, min(10**9, 10**10 // subsets)):
            need(
                devices, heterogeneity=1e150, gradients=devices * subsets, subsets=subsets, dimension=dimension, **alpha
            )


@pytest.mark.parametrize(
    ("devices", "subsets"),
    [(2, 2 * 10**7), (6000, 6000), (4999, 5003), (MOST_DEVICES, MOST_DEVICES), (1, LARGEST), (2000, 20_000)],
)
@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.45])
def test_few_sizes_of_codes_are_tried_and_no_matrix_is_made(devices, subsets, alpha, monkeypatch):
    tried = []
    for name, decoder in DECODERS.items():

        def refuses(*size, name=name, decoder=decoder):
            tried.append(name)
            return decoder.refuses(*size)

        monkeypatch.setattr(f"{DECODERS.module(name)}.ENTRY", dataclasses.replace(decoder, refuses=refuses))
    monkeypatch.setattr("byzcode.theory.overlaps.sampled", lambda *_: 1.0)  # the one that draws who holds what
    monkeypatch.setattr("byzcode.theory.bounds.weights_of", None)
    monkeypatch.setattr(np.linalg, "eigvalsh", None)
    alpha = min(alpha, (devices - 1) // 2 / devices)
    found, _ = recommend(need(devices, alpha, 1.0, devices * (subsets // 2 + 1), subsets=subsets, dimension=10))
    assert found
    assert len(tried) <= 2 * math.isqrt(subsets)


def test_the_largest_floor_is_still_a_number():
    """Where the error is nearly as large as the gradient there is a bound, though it is good for nothing."""
    asked = need(13, 6 / 13, 1.0, 13, dimension=8)
    (one, far) = (
        list(ruled(dataclasses.replace(asked, heterogeneity=size), "rba_dl", METHODS_TRIED["rba_dl"](asked), "none"))
        for size in (1.0, 1e150)
    )
    assert max(each.floor for each in one if math.isfinite(each.floor)) > 1e12
    assert [math.isfinite(each.floor) for each in far] == [math.isfinite(each.floor) for each in one]


# --- beside what was measured ----------------------------------------------------------------------------------------


ASKED = need(**LAD)
CODED = {"method": "cra_dl", "allocation": "random", "allocation_options": "side=device", "assignment": "fixed"}


def rows(**changes):
    row = {
        "run_id": "0123456789ab",
        "devices": 100,
        "subsets": 100,
        "alpha": 0.2,
        "method": "lad",
        "redundancy": 20,
        "allocation": "cyclic",
        "allocation_options": math.nan,
        "assignment": "redrawn",
        "encoding": "uniform",
        "aggregation": "trimmed_mean",
        "pre_aggregation": "none",
        "compression": "identity",
        "attack": "alie",
        "gradient_norm_median": 0.3,
        "heterogeneity_median": 6.0,
    }
    return pd.DataFrame([row | changes])


def told(*tables):
    """Every recommendation beside what was measured of it."""
    given = pd.concat(tables, ignore_index=True)
    return [(one, measured(ASKED, one, given)) for one in advice()[0]]


def words(one, given):
    seen = measured(ASKED, one, given)
    return "" if seen is None else seen.words(10.0)


def test_what_was_measured_is_relative_to_the_heterogeneity():
    best = advice()[0][0]
    several = pd.concat(
        [
            rows(),
            rows(attack="sign_flip", gradient_norm_median=0.1),
            rows(redundancy=41, gradient_norm_median=99.0),
            rows(aggregation="median", gradient_norm_median=99.0),
            rows(method="cra_dl", gradient_norm_median=99.0),
        ]
    )  # every row has the same label, as where several files are read
    assert words(best, several) == "0.25 (r = 20, alie)"
    assert measured(ASKED, best, several).attacks == {"alie", "sign_flip"}
    assert words(best, rows(**CODED)) == ""
    assert words(best, rows(redundancy=30)) == "0.25 (r = 30, alie)"  # the nearest there is
    assert words(best, rows(redundancy=41)) == ""  # another thing
    infinite = rows(attack="ipm", gradient_norm_median=math.inf, heterogeneity_median=math.inf)
    assert words(best, pd.concat([rows(), infinite])) == "diverged (r = 20, ipm)"
    assert words(best, rows().iloc[:0]) == ""


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ({}, {"allocation": "random"}),
        ({}, {"assignment": "fixed"}),
        ({}, {"encoding": "replication"}),
        (CODED, {"allocation": "block_design", "allocation_options": math.nan}),
        (CODED, {"allocation_options": "side=subset"}),
    ],
)
def test_what_was_measured_of_another_allocation_does_not_count(base, changes):
    one = next(one for one in advice()[0] if one.method == base.get("method", "lad"))
    assert words(one, rows(**base)) == "0.25 (r = 20, alie)"
    assert words(one, rows(**base | changes)) == ""


def test_a_run_without_a_level_did_not_diverge():
    """Too few iterations are recorded for a level, or more lie than the rule is defined for."""
    best = advice()[0][0]
    nothing = rows(gradient_norm_median=math.nan, attack="ipm")
    assert words(best, nothing) == ""
    assert words(best, pd.concat([rows(), nothing])) == "0.25 (r = 20, alie)"
    assert words(best, pd.concat([rows(redundancy=30), nothing])) == "0.25 (r = 30, alie)"


def test_only_summaries_of_as_many_devices_subsets_and_liars_count(tmp_path):
    folder = tmp_path / "summaries"
    folder.mkdir()
    rows().to_csv(folder / "one.csv", index=False)
    rows(devices=20).to_csv(folder / "other.csv", index=False)
    rows(alpha=0.3).to_csv(folder / "third.csv", index=False)
    rows(subsets=1000).to_csv(folder / "fourth.csv", index=False)
    (folder / "foreign.csv").write_text("a,b\n1,2\n")
    (folder / "broken.csv").write_bytes(b"\xff\xfe\x00")
    for path in folder.glob("*.csv"):
        vouched(path)
    found = measurements(tmp_path, ASKED)
    assert found[["devices", "subsets", "alpha"]].to_numpy().tolist() == [[100, 100, 0.2]]
    assert measurements(tmp_path / "nowhere", ASKED).empty


@pytest.mark.parametrize(
    "changes",
    [{"assumed_alpha": 0.0}, {"estimation": "two_groups"}, {"momentum": 0.9}, {"problem": "softmax_regression"}],
    ids=str,
)
def test_runs_that_a_configuration_does_not_describe_do_not_count(tmp_path, changes):
    folder = tmp_path / "open" / "summaries"
    folder.mkdir(parents=True)
    (column,) = changes
    usual = {"estimation": "none", "momentum": 0.0, "problem": "linear_regression"}.get(column, math.nan)
    both = pd.concat([rows(attack="ipm", **{column: usual}), rows(**changes)])
    both.to_csv(folder / "both.csv", index=False)
    vouched(folder / "both.csv")
    assert measurements(tmp_path, ASKED)["attack"].tolist() == ["ipm"]


def test_rows_of_several_summaries_have_labels_of_their_own(tmp_path):
    (tmp_path / "summaries").mkdir()
    for attack in ("alie", "ipm", "sign_flip"):
        one = rows(attack=attack, gradient_norm_median=math.inf, heterogeneity_median=math.inf)
        one.to_csv(tmp_path / "summaries" / f"{attack}.csv", index=False)
        vouched(tmp_path / "summaries" / f"{attack}.csv")
    found = measurements(tmp_path, ASKED)
    assert found.index.is_unique
    assert len(found) == 3
    assert words(advice()[0][0], found) == "diverged (r = 20, alie)"


def test_the_table_says_what_is_measured_and_what_is_a_bound():
    with_rows, without = table(ASKED, told(rows())), table(ASKED, told(rows().iloc[:0]))
    assert [column.header for column in with_rows.columns][-1] == "measured"
    assert [column.header for column in without.columns][-1] == "bits"
    assert "for the worst attack" in str(without.caption)
    assert "hold if the heterogeneity stays at most S during training" in str(without.caption)
    assert "a run may still diverge" in str(without.caption)
    assert "* Not a floor: training fits lists that are kept" in str(without.caption)


def test_the_least_of_what_was_measured_is_said():
    coded = rows(**CODED, gradient_norm_median=0.06)
    mixed = rows(pre_aggregation="nnm", gradient_norm_median=math.inf, heterogeneity_median=math.inf)
    best, said = favourite(told(rows(), coded, mixed))
    assert best.method == "cra_dl"
    where = "r = 20, alie, run 0123456789ab"
    assert said == f"CRA-DL, trimmed mean. 0.0001 of S² at worst ({where}), the lowest of 3 measured rows."
    assert favourite(told(rows(), mixed))[0].title == "LAD"
    assert favourite(told(mixed, rows(**CODED, gradient_norm_median=99.0)))[0].method == "cra_dl"
    assert favourite(told(rows())) is None  # beside nothing
    assert favourite(told(rows(gradient_norm_median=math.inf), mixed)) is None  # no better than another
    worse = rows(attack="sign_flip", gradient_norm_median=0.6)
    best, said = favourite(told(rows(), coded, rows(**CODED, attack="sign_flip", gradient_norm_median=0.6)))
    assert best.method == "lad"
    assert said.endswith("not all were measured under the same attacks.")
    assert "same attacks" not in favourite(told(rows(), coded))[1]
    assert favourite(told(rows(), worse, coded))[0].method == "cra_dl"


def test_the_command(tmp_path):
    (tmp_path / "summaries").mkdir()
    rows().to_csv(tmp_path / "summaries" / "one.csv", index=False)
    rows(**CODED, gradient_norm_median=0.06).to_csv(tmp_path / "summaries" / "two.csv", index=False)
    for path in (tmp_path / "summaries").glob("*.csv"):
        vouched(path)
    options = ["--devices", "100", "--alpha", "0.2", "--heterogeneity", "10", "--budget-gradients", "2000"]
    result = CliRunner().invoke(app, ["recommend", *options, "--results", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "0.25 (r = 20, alie)" in result.output
    assert "Best by the bounds: LAD. 20 tasks per device" in result.output
    assert "A device computes with 20 of 100 subsets in an iteration and stores 100. An iteration takes 119 times" in (
        result.output
    )
    assert "A device computes with 20 of 100 subsets in an iteration and stores 20." in result.output
    assert "Best by measurements: CRA-DL, trimmed mean. 0.0001 of S²" in result.output
    curves = [line.partition(": ")[2] for line in result.output.splitlines() if line.startswith("As a curve")]
    assert [json.loads(curve)["method"] for curve in curves] == ["lad", "cra_dl"]
    assert json.loads(curves[0])["redundancy"] == 20
    refused = CliRunner().invoke(app, ["recommend", *options[:-1], "50"])
    assert isinstance(refused.exception, UserError)
    for nowhere in (tmp_path / "none", tmp_path / "summaries/one.csv"):
        refused = CliRunner().invoke(app, ["recommend", *options, "--results", str(nowhere)])
        assert str(refused.exception) == f"{nowhere}: no such folder"


@pytest.mark.parametrize("heterogeneity", [1e-150, 1e-9, 1e150])
def test_the_order_does_not_depend_on_the_heterogeneity(heterogeneity):
    """Floors scale with its square; where that is no number, all would be 0 and the cheapest would be the best."""
    wanted, found = (recommend(need(**LAD | {"heterogeneity": each}))[0] for each in (1.0, heterogeneity))
    assert [one.curve for one in found] == [one.curve for one in wanted]
    assert all(one.floor > 0 for one in found)


@pytest.mark.parametrize("name", ["missing", "a-file"])
def test_the_command_refuses_results_that_are_no_folder(tmp_path, name):
    (tmp_path / "a-file").touch()
    options = ["--devices", "100", "--alpha", "0.2", "--heterogeneity", "10", "--budget-gradients", "2000"]
    refused = CliRunner().invoke(app, ["recommend", *options, "--results", str(tmp_path / name)])
    assert str(refused.exception) == f"{tmp_path / name}: no such folder"


def test_a_need_counts_liars_as_a_run_does():
    assert Need(50, 0.29, 1.0, 50, None, 50, 1).f == 15


# --- with a heterogeneity that is measured ----------------------------------------------------------------------------

SIZES = ("--devices", "20", "--alpha", "0.2", "--budget-gradients", "200")


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """The command, in an empty folder: its lines, or its one-line refusal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(files.ENVIRONMENT, str(tmp_path / "data"))

    def run(*options):
        ended = CliRunner().invoke(app, ["recommend", *SIZES, *options, "--results", str(tmp_path)])
        if ended.exit_code:
            assert isinstance(ended.exception, UserError), ended.exception
            assert "\n" not in str(ended.exception)
            return str(ended.exception)
        return ended.output

    return run


def by_autograd(features, targets, subsets):
    """betahat of softmax at theta = 0 from the gradients of torch's own loss, of subsets of equal size."""

    def gradient(z, y):
        theta = torch.zeros(y.shape[-1], z.shape[-1], dtype=torch.float64, requires_grad=True)
        torch.nn.functional.cross_entropy(z @ theta.T, y).backward()
        return theta.grad.flatten()

    parts = zip(features.chunk(subsets), targets.chunk(subsets), strict=True)
    gradients = torch.stack([gradient(*part) for part in parts])
    return (gradients - gradients.mean(dim=0)).square().sum(dim=1).mean().sqrt().item()


@pytest.mark.parametrize("partition", ["by_label", "{name: dirichlet, a: 0.1}"])
def test_the_heterogeneity_at_the_start_is_that_of_autograd(partition):
    spec = problem_of(problem=None, data="digits", partition=partition, subsets=30, devices=20)
    assert (spec.problem.name, spec.subsets, spec.dimension) == ("softmax_regression", 30, 640)
    found = measure(spec)
    problem = PROBLEMS["softmax_regression"](SEEDS, "cpu", "float64", **spec.problem.options)
    spreads = [by_autograd(*each, 30) for each in zip(problem.features, problem.targets, strict=True)]
    assert found.first == pytest.approx(spreads, rel=1e-9)
    assert found.optimum == ()
    assert found.heterogeneity == pytest.approx(np.sqrt(np.mean(np.square(found.first))))


def test_real_labels_are_fitted_by_least_squares_also_at_the_optimum():
    spec = problem_of(problem=None, data="diabetes", partition="sorted", subsets=None, devices=20)
    assert (spec.problem.name, spec.problem.options["partition"], spec.subsets) == ("least_squares", "by_label", 20)
    found = measure(spec)
    problem = PROBLEMS["least_squares"](SEEDS, "cpu", "float64", **spec.problem.options)
    for theta, values in ((problem.start(), found.first), (problem.optimum, found.optimum)):
        residual = (problem.features @ theta.unsqueeze(-1)).squeeze(-1) - problem.labels
        gradients = (residual.unsqueeze(-1) * problem.features).view(len(SEEDS), 20, 20, -1).mean(dim=2)
        away = (gradients - gradients.mean(dim=1, keepdim=True)).square().sum(dim=-1).mean(dim=-1).sqrt()
        assert values == pytest.approx(away.tolist(), rel=1e-9)
    assert max(found.optimum) < min(found.first)
    assert "and 0." in found.words
    assert found.words.endswith("at the optimum.")


def test_the_command_measures_the_heterogeneity_of_a_data_set(ask):
    told, others = ask("--data", "digits", "--partition", "sorted"), ask("--data", "digits", "--partition", "iid")
    [stated] = re.findall(
        r"partition by_label, .*: S = ([\d.]+) at the start \([\d.]+ to [\d.]+ in seeds 0 to 2\)\.", told
    )
    [even] = re.findall(r"S = ([\d.]+) at the start", others)
    assert float(even) < float(stated) / 2
    assert f"M = 20 subsets, D = 640, heterogeneity S = {stated}" in told
    assert "it changes during training" in told
    assert "untested" not in told  # nothing was measured
    assert "As a curve of a study: {" in told
    same = ask("--heterogeneity", stated, "--dimension", "640")
    assert [line for line in same.splitlines() if line.startswith(("Best", "As a"))] == [
        line for line in told.splitlines() if line.startswith(("Best", "As a"))
    ]


def test_measurements_of_linear_regression_are_named_as_such(tmp_path, ask):
    (tmp_path / "summaries").mkdir()
    rows(devices=20, subsets=20, redundancy=10).to_csv(tmp_path / "summaries/one.csv", index=False)
    vouched(tmp_path / "summaries/one.csv")
    said = "The measurements are of linear_regression: that their ratios to S² hold for this problem is untested."
    assert said in ask("--data", "digits")
    assert said not in ask("--problem", "linear_regression")
    assert said not in ask("--heterogeneity", "3")


def test_the_problem_may_have_options(ask):
    told = ask(
        "--problem", "{name: mlp, hidden: [4], groups: 10, data: digits}", "--partition", "shards", "--subsets", "40"
    )
    assert "mlp (data digits, subsets 40, partition shards k 2, " in told
    assert "groups 10" in told
    assert "D = 310" in told  # 65 4 + 5 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "--heterogeneity = None: state it, or name a data set with --data to measure it"),
        ("--partition sorted", "--partition = 'sorted': only with --data"),
        ("--partition sorted --heterogeneity 3", "--partition = 'sorted': only with --data"),
        ("--data digits --heterogeneity 3", "--heterogeneity = 3.0: not with --data or --problem, from which"),
        ("--data digits --dimension 3", "--dimension = 3: not with --data or --problem"),
        ("--data digit", "--data = 'digit': no such data set; did you mean 'digits'? allowed: digits, diabetes"),
        ("--data digits --partition sort", "problem.partition = 'sort': unknown partition; allowed: iid, by_label"),
        ("--data digits --partition {a:", "--partition: line 1: not valid YAML"),
        ("--data digits --partition {name:dirichlet,a:-1}", "problem.partition"),
        ("--data digits --partition shards --subsets 1000", "problem.partition.k = "),
        (
            "--data digits --subsets 2000",
            "problem.subsets = 2000: allowed: 1 to 1500 (the training examples of digits)",
        ),
        ("--data digits --subsets 10", "--subsets = 10: allowed: 20 to"),
        ("--data diabetes --problem mlp", "problem.data = 'diabetes'"),
        ("--data digits --problem [mlp]", "--problem = ['mlp']: expected a name, or a mapping with a name and options"),
        (
            "--data digits --problem {data:mnist}",
            "--data = 'digits': --problem states data too: give only one of the two",
        ),
        ("--problem {subsets:30} --subsets 20", "--subsets = 20: --problem states subsets too"),
        ("--problem ml", "problem"),
        ("--data digits --alpha 0.5", "--alpha = 0.5: allowed"),
        ("--data mnist", "No such file or directory; `byzcode data mnist` brings the data set"),
    ],
)
def test_a_wrong_description_of_data_says_why_before_anything_is_computed(ask, monkeypatch, options, said):
    monkeypatch.setattr("byzcode.recommend.at_start.Iterate", None)
    refusal = ask(*(each.replace(":", ": ").replace(",", ", ") for each in options.split()))
    assert said in refusal
    assert refusal.startswith("byzcode recommend: ") or "mnist" in refusal
