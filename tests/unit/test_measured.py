"""Plots, claims and summaries of runs whose problem does not know its optimum, or has a metric of its own."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from byzcode.analysis.spread import spread
from byzcode.analysis.summary import summarise
from byzcode.errors import UserError
from byzcode.figures import FIGURES
from byzcode.figures.request import Request
from byzcode.figures.style import theme
from byzcode.problems import softmax_regression
from byzcode.storage import allocations, checksums, trajectories
from byzcode.studies.plan import load_plan
from byzcode.training.workers import train

DIGITS = {"problem": {"name": "softmax_regression", "subsets": 10}, "step_size": 1.0}
LINES = {"problem": {"name": "linear_regression", "subsets": 10, "dimension": 3}}
COMMON = {"devices": 10, "seeds": 6, "iterations": 10, "record.step": 1, "aggregation": "median", "attack": "sign_flip"}
SWEEP = {"kind": "sweep", "x": "redundancy", "caption": "A sweep."}
ACCURACY = {"kind": "trajectories", "y": "test_accuracy", "caption": "Shares."}
CLAIM = {"claim": "lower", "says": "Lower.", "source": "here", "mark": "inferred", "test": "lower", "curve": "CRA-DL"}
CLAIM |= {"against": "RBA-DL", "at": "end", "confirms": "Below.", "refutes": "Above."}


def study(plots, claims=(), base=DIGITS, also=()):
    return {
        "study": "made-up",
        "title": "Made up",
        "base": COMMON | base,
        "curves": [
            {"label": "RBA-DL", "method": "rba_dl"},
            {"label": "CRA-DL", "method": "cra_dl", "redundancy": 4},
            *also,
        ],
        "plots": plots,
        "claims": list(claims),
    }


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Plans a study in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def plan(*args, **options):
        (tmp_path / "made-up.yaml").write_text(yaml.safe_dump(study(*args, **options)), encoding="utf-8")
        return load_plan({"studies": ["made-up.yaml"]}).studies["made-up"]

    return plan


def test_a_sweep_and_a_claim_are_of_the_loss_where_the_optimum_is_not_known(planned):
    made = planned({"sweep": SWEEP}, [CLAIM])
    assert made.study.plots["sweep"].y == "loss"
    assert json.loads(made.figure_json("sweep"))["plot"]["y"] == "loss"
    assert [cell.claim.quantity for cell in made.cells] == ["loss"]


def test_elsewhere_they_are_of_the_excess_loss_as_ever(planned):
    made = planned({"sweep": SWEEP}, [CLAIM], base=LINES)
    assert made.study.plots["sweep"].y == "excess_loss"
    assert made.cells[0].claim is made.study.claims[0]


MIXED = [{"label": "Lines", "method": "rba_dl", "problem": LINES["problem"]}]


@pytest.mark.parametrize(
    ("plots", "claims", "options", "said"),
    [
        (
            {"sweep": SWEEP | {"y": "excess_loss"}},
            [],
            {},
            "plots.sweep.y = 'excess_loss': curve 'RBA-DL': problem softmax_regression does not know its optimum; "
            "allowed: loss, aggregation_error, honest_dispersion, coding_bias, heterogeneity, largest_heterogeneity, "
            "gradient_norm, test_accuracy",
        ),
        (
            {"shares": ACCURACY},
            [],
            {"base": LINES},
            "plots.shares.y = 'test_accuracy': curve 'RBA-DL': problem linear_regression has no metric of that name; "
            "allowed: loss, excess_loss, ",
        ),
        (
            {"shares": ACCURACY},
            [],
            {"also": MIXED},
            "plots.shares.y = 'test_accuracy': curve 'Lines': problem linear_regression has no metric of that name; "
            "allowed: loss, aggregation_error, honest_dispersion, coding_bias, heterogeneity, largest_heterogeneity, "
            "gradient_norm",
        ),
        (
            {"sweep": SWEEP},
            [CLAIM | {"quantity": "distance_to_optimum"}],
            {},
            "claims[0].quantity = 'distance_to_optimum': problem softmax_regression does not know its optimum; "
            "allowed: loss, ",
        ),
        (
            {"sweep": SWEEP},
            [CLAIM | {"quantity": "test_accuracy"}],
            {},
            "claims[0].quantity = 'test_accuracy': claims compare quantities of which less is better; of this one, "
            "more is better; allowed: loss, ",
        ),
    ],
)
def test_what_runs_do_not_have_is_refused_in_one_line_before_any_training(planned, plots, claims, options, said):
    with pytest.raises(UserError) as refused:
        planned(plots, claims, **options)
    assert str(refused.value).startswith(f"made-up.yaml: {said}"), refused.value
    assert "test_accuracy" not in str(refused.value).partition("allowed")[2] or "Lines" not in str(refused.value)


def test_bounds_on_what_is_learnt_need_l(planned, monkeypatch):
    plots = {"bounds": {"kind": "bounds", "x": "redundancy", "caption": "Bounds."}}
    assert planned(plots).study.plots
    monkeypatch.setattr(softmax_regression, "ENTRY", replace(softmax_regression.ENTRY, knows=frozenset()))
    with pytest.raises(UserError, match=r"plots\.bounds\.kind = 'bounds': .* does not know its smoothness L, which"):
        planned(plots)


# --- what is made of them ---------------------------------------------------------------------------------------------


def made(planned_study, results):
    """Trains the runs of a study and stores them with its summary."""
    spent = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}
    for member in planned_study.members:
        assigned = allocations.draw(member.spec.allocation_spec)
        path = results / "trajectories" / f"{member.spec.run_id}.nc"
        path.parent.mkdir(parents=True, exist_ok=True)
        trajectories.write(path, member.spec, train(member.spec, assigned), assigned, **spent)
    runs = planned_study.run_ids()
    return summarise([results / "trajectories" / f"{run}.nc" for run in runs], runs)


def test_a_summary_has_no_column_of_what_is_not_measured_and_says_so(planned, tmp_path):
    table = made(planned({"sweep": SWEEP}), tmp_path / "results")
    assert not [column for column in table if column.startswith(("excess_loss", "relative", "rate", "distance", "sig"))]
    assert set(table["absent"]) == {
        "excess_loss, distance_to_optimum: problem softmax_regression does not know its optimum"
    }
    assert set(table["problem"]) == {"softmax_regression"}
    assert (table["dimension"] == 640).all()
    assert table[["loss_median", "test_accuracy_median"]].notna().all(axis=None)
    assert table["test_accuracy_median"].between(0, 1).all()


def test_a_summary_of_the_problem_that_all_runs_once_had_has_the_columns_that_it_had(planned, tmp_path):
    table = made(planned({"sweep": SWEEP}, base=LINES), tmp_path / "results")
    assert not {"absent", "problem", "problem_options", "step_unit", "step_schedule"} & set(table)
    assert {"excess_loss_median", "rate_median", "sigma_h"} <= set(table)


def test_a_summary_of_both_says_which_run_lacks_what(planned, tmp_path):
    table = made(planned({"sweep": SWEEP}, also=MIXED), tmp_path / "results").set_index("problem")
    assert table.loc["linear_regression", "absent"] == ""
    assert table.loc["softmax_regression", "absent"].str.contains("does not know its optimum").all()


def test_more_is_better_turns_the_spread_round():
    values = np.array([0.1, 0.5, 0.9, np.nan])
    found = spread(values, more_is_better=True)
    assert (found.low, found.median, found.high) == (-np.inf, pytest.approx(0.3), pytest.approx(0.6))
    assert spread(np.array([0.5, np.nan, np.nan]), more_is_better=True).median == -np.inf


@pytest.mark.parametrize("name", ["shares", "sweep", "swept"])
def test_a_share_is_drawn_on_a_linear_axis_from_0_to_1(planned, tmp_path, monkeypatch, name):
    plots = {"shares": ACCURACY, "sweep": SWEEP, "swept": SWEEP | {"y": "test_accuracy", "cost": False}}
    mean = {"label": "MA", "method": "ma", "attack": {"name": "sign_flip", "coefficient": -1e7}, "diverged_at": 2.0}
    study_of = planned(plots, also=[mean])
    results = tmp_path / "results"
    table, summary = made(study_of, results), results / "summaries/made-up.csv"
    summary.parent.mkdir(parents=True)
    table.to_csv(summary, index=False)
    monkeypatch.setattr(checksums, "checked", lambda path, *_: path)
    request = Request.model_validate_json(study_of.figure_json(name))
    with theme():
        drawing = FIGURES[request.plot.kind](request, results)
    drawn = [axes for axes in drawing.page.figure.axes if axes.lines]
    words = "training loss" if name == "sweep" else "test accuracy"
    assert drawn[0].get_ylabel().startswith(words)
    scale = "log" if name == "sweep" else "linear"
    assert drawn[0].get_yscale() == scale
    if scale == "linear":
        assert drawn[0].get_ylim() == (0.0, 1.02)
        rows = drawing.data[drawing.data["curve"] == "MA"]
        assert rows["median"].iloc[-1] == -np.inf
        text = " ".join(part.get_text() for part in drawing.page.figure.texts)
        assert "less than any other" in text.replace("\n", " ")
