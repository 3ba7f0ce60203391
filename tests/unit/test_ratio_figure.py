"""Figures of factors: seed by seed, iteration by iteration, and nothing that no axis can show breaks them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from degenerate import CASES, STYLES, caption, curves, drawing, planned, stored
from pydantic import ValidationError

from byzcode.errors import UserError
from byzcode.figures import draw
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations, trajectories
from byzcode.studies.expand import expand
from byzcode.studies.planned import PlannedStudy
from byzcode.studies.study import Reading, Study
from byzcode.training.workers import train

CURVES = [
    {"label": "CRA-DL", "method": "cra_dl", "redundancy": 4},
    {"label": "CRA-DL, r = 8", "method": "cra_dl", "redundancy": 8},
    {"label": "Exact", "method": "gradient_descent"},
]
STUDY = {
    "study": "made",
    "title": "Made up",
    "base": {
        "problem.subsets": 20,
        "problem.dimension": 3,
        "devices": 5,
        "attack": "sign_flip",
        "aggregation": "median",
        "iterations": 30,
        "record.step": 3,
        "seeds": 6,
    },
    "grid": {"attack.coefficient": [-1, -2]},
    "curves": CURVES,
    "plots": {"factor": {"kind": "ratio", "against": "Exact", "columns": "attack.coefficient", "caption": "Factors."}},
}


def made(**changes):
    study = Study.model_validate({**STUDY, **changes})
    return PlannedStudy(study, "made.yaml", expand(study, Reading(reading="no", title="no", choices=[]), "x"), STYLES)


def drawn_from(study, results):
    """Train the runs of a study and draw its figure; the excess loss of each run by its id."""
    found = {}
    for run, spec in {member.spec.run_id: member.spec for member in study.members}.items():
        assigned = allocations.draw(spec.allocation_spec)
        measured = train(spec, assigned)
        spent = {"device": "cpu", "threads": 1, "wall_seconds": 1.0, "cpu_seconds": 1.0}
        trajectories.write(results / "trajectories" / f"{run}.nc", spec, measured, assigned, **spent)
        found[run] = measured.excess_loss
    draw(json.loads(study.figure_json("factor")), results, results / "factor")
    return found


def test_the_factors_are_those_of_the_trajectories(tmp_path):
    study = made()
    excess = drawn_from(study, tmp_path)
    table = pd.read_csv(tmp_path / "factor.csv")
    exact = RunSpec.parse({"method": "gradient_descent"}, "test")
    floor = next(member.spec.run_id for member in study.members if member.spec.method == exact.method)

    assert set(table["curve"]) == {"CRA-DL", "CRA-DL, r = 8"}
    assert set(table["attack.coefficient"]) == {-1, -2}
    for (run, _), rows in table.groupby(["run", "attack.coefficient"]):
        factor = excess[run] / excess[floor]
        np.testing.assert_allclose(rows["median"], np.median(factor, axis=0), rtol=1e-12)
        np.testing.assert_allclose(rows["q25"], np.quantile(factor, 0.25, axis=0), rtol=1e-12)
        np.testing.assert_allclose(rows["q75"], np.quantile(factor, 0.75, axis=0), rtol=1e-12)
        np.testing.assert_allclose(rows["share"], ((factor < 1.5) & (factor > 1 / 1.5)).mean(axis=0))
        assert list(rows["x"]) == list(range(0, 31, 3))
        assert set(rows["seeds"]) == {6}
    assert (table.loc[table["x"] == 0, "share"] == 1).all()  # all start alike
    assert table["share"].nunique() > 2


@pytest.mark.parametrize("case", [case for case in CASES if case != "constant"])
def test_degenerate_runs_are_drawn(case, tmp_path):
    plots = {"factor": {"kind": "ratio", "against": "constant", "caption": "Factors."}}
    study = stored(planned({"curves": curves(case, "constant"), "plots": plots}), tmp_path)
    drawn = drawing(study, tmp_path, "factor")

    assert "the factor over constant in the same seed" in caption(drawn)
    assert drawn.data["share"].between(0, 1).all()
    drawn.save(tmp_path / "factor")


def test_a_seed_that_ended_is_infinite_and_not_near(tmp_path):
    plots = {"factor": {"kind": "ratio", "against": "constant", "caption": "Factors."}}
    study = stored(planned({"curves": curves("poisoned", "constant"), "plots": plots}), tmp_path)
    drawn = drawing(study, tmp_path, "factor")

    assert np.isinf(drawn.data["median"].iloc[-1])
    assert drawn.data["share"].iloc[-1] == 0
    assert "Seeds that ended early count as infinite: poisoned. A line ends where its median is infinite." in caption(
        drawn
    )
    assert np.isfinite(drawn.page.axes[0][0].lines[-1].get_ydata()).all()


def test_equal_levels_have_the_factor_one_even_at_zero(tmp_path):
    plots = {"factor": {"kind": "ratio", "against": "zero", "caption": "Factors."}}
    study = stored(planned({"curves": curves("ends at zero", "zero"), "plots": plots}), tmp_path)
    drawn = drawing(study, tmp_path, "factor")

    assert np.isinf(drawn.data["median"].iloc[0])
    assert drawn.data["median"].iloc[-1] == 1
    assert drawn.data["share"].iloc[-1] == 1


def test_the_other_curve_must_be_of_the_study():
    with pytest.raises(UserError, match=r"plots\.factor\.against = 'Exakt': .*did you mean 'Exact'"):
        made(plots={"factor": STUDY["plots"]["factor"] | {"against": "Exakt"}})


def test_the_curves_to_draw_include_the_other_curve():
    plot = STUDY["plots"]["factor"]
    made(plots={"factor": plot | {"curves": ["CRA-DL", "Exact"]}})
    with pytest.raises(ValidationError, match="must include the curve 'Exact'"):
        made(plots={"factor": plot | {"curves": ["CRA-DL"]}})


def test_other_seeds_give_one_line(tmp_path):
    study = made(curves=[*CURVES[:2], CURVES[2] | {"seeds": 5}])
    with pytest.raises(UserError, match="differ in their seeds or recorded iterations"):
        drawn_from(study, tmp_path)
