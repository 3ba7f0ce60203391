"""Sweeps against a measured quantity: each point is where its run was measured, whatever the value of the swept key."""

from __future__ import annotations

import json

import numpy as np
import pytest
from degenerate import FALL, caption, curves, drawing, planned, stored
from pydantic import ValidationError

from byzcode.errors import UserError
from byzcode.storage.inputs import read_by
from byzcode.studies.checks import check_quantities
from byzcode.studies.plots import SweepPlot

PLOT = {"kind": "sweep", "x": "redundancy", "measured": "heterogeneity", "cost": False, "caption": "c"}
PLOTS = {"start": PLOT, "training": PLOT | {"measured_at": "training"}, "swept": {**PLOT, "measured": None}}
GRID = {"grid": {"redundancy": [2, 4]}}


@pytest.mark.parametrize(("name", "place"), [("start", FALL[0]), ("training", FALL[1:].mean())])
def test_points_are_where_their_runs_were_measured(name, place, tmp_path):
    study = stored(planned({"curves": curves("falling", **GRID), "plots": PLOTS}), tmp_path)
    drawn, swept = drawing(study, tmp_path, name), drawing(study, tmp_path, "swept")
    assert drawn.data["x_median"].tolist() == pytest.approx([place] * 2)
    assert drawn.data["x_q25"].tolist() == drawn.data["x_q75"].tolist() == drawn.data["x_median"].tolist()
    assert drawn.data["x"].tolist() == swept.data["x"].tolist() == [2, 4]
    axes = drawn.page.axes[0][0]
    assert axes.lines[0].get_xdata() == pytest.approx([place] * 2)
    assert axes.get_xlim()[0] < place < axes.get_xlim()[1]
    words = {"start": "heterogeneity at the start", "training": "mean heterogeneity over the training"}[name]
    assert axes.get_xlabel().replace("\n", " ") == words
    assert f"On the x axis: the measured {words}; median over seeds." in caption(drawn)
    assert "x_median" not in swept.data
    assert "shifted slightly" in caption(swept)
    assert "shifted slightly" not in caption(drawn)


def test_a_point_that_is_not_measured_is_named(tmp_path):
    study = stored(planned({"curves": curves("falling", "not measured", **GRID), "plots": PLOTS}), tmp_path)
    drawn = drawing(study, tmp_path, "start")
    assert "Not measured on the x axis, so not drawn: not measured." in caption(drawn)
    assert len(drawn.data) == 4


def test_the_figure_reads_the_summary_and_its_trajectories(tmp_path):
    study = planned({"curves": curves("falling", **GRID), "plots": PLOTS})
    read = {
        name: {path.stem for path in read_by("figure", json.loads(study.figure_json(name)), tmp_path)} for name in PLOTS
    }
    assert read["swept"] == {"made"}
    assert read["start"] == {"made", *study.run_ids()}


def test_a_quantity_that_the_runs_lack_is_refused():
    study = planned({"curves": curves("falling", **GRID), "plots": {"p": PLOT | {"measured": "test_accuracy"}}})
    with pytest.raises(UserError, match=r"plots\.p\.measured = 'test_accuracy': curve 'falling': .*allowed: loss"):
        check_quantities(study, "p")


def test_an_edge_is_a_value_of_x():
    keys = {"x": "attack.coefficient", "columns": "byzantine.alpha", "edge": True}
    SweepPlot.model_validate(PLOT | keys | {"measured": None})
    with pytest.raises(ValidationError, match="cannot be marked on an axis of measured values"):
        SweepPlot.model_validate(PLOT | keys)


def test_a_wide_range_has_a_logarithmic_axis(tmp_path):
    cases = curves("falling", "tiny", **GRID)
    drawn = drawing(stored(planned({"curves": cases, "plots": PLOTS}), tmp_path), tmp_path, "start")
    axes = drawn.page.axes[0][0]
    assert axes.get_xscale() == "log"
    assert np.isfinite(axes.get_xlim()).all()
