"""What is accepted is really trained, summarised, tested and drawn; a run that goes wrong is a result, not a crash."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fuzz.budget import trying
from fuzz.mutations import as_yaml, structures
from fuzz.sandbox import FILES, STUDY, TINY, check, light, planned
from hypothesis import event, given

from byzcode.cli import main
from byzcode.errors import UserError
from byzcode.specs.run import RunSpec
from byzcode.storage import trajectories
from byzcode.studies.gallery import gallery_json
from byzcode.studies.plan import Plan

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandbox")]


def byzcode(*arguments: str) -> None:
    """The command line, in this process. It must end well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["byzcode", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    gc.unfreeze()  # what a process that ends leaves behind
    assert not ended.value.code, arguments


def made(plan: Plan) -> None:
    """What the workflow would make of a plan, in its order."""
    for name, spec in plan.allocations.items():
        byzcode("allocate", "--spec", spec.canonical(), "--out", f"results/allocations/{name}.nc")
    for name, spec in plan.runs.items():
        assigned = f"results/allocations/{spec.allocation_spec.allocation_id}.nc"
        out = f"results/trajectories/{name}.nc"
        byzcode("train", "--spec", spec.canonical(), "--allocation", assigned, "--out", out)
    for name, one in plan.studies.items():
        if one.trained:
            out = f"results/summaries/{name}.csv"
            byzcode("summarise", "--request", one.summary_json(), "--results", "results", "--out", out)
        if one.cells:
            out = f"results/claims/{name}.csv"
            byzcode("claims", "--request", one.claims_json(), "--results", "results", "--out", out)
        for plot in one.study.plots:
            out = f"results/figures/{name}-{plot}"
            byzcode("figure", "--request", one.figure_json(plot), "--results", "results", "--out", out)
            assert all(Path(f"{out}.{kind}").stat().st_size > 0 for kind in ("pdf", "svg", "png", "csv"))
    if plan.claimed:
        asked = plan.scorecard_json()
        byzcode("scorecard", "--request", asked, "--results", "results", "--out", "results/scorecard")
    byzcode("gallery", "--request", gallery_json(plan), "--results", "results", "--out", "results/index.html")


@trying(0.07)
@given(structures(TINY, 2))
def test_an_accepted_study_is_trained_and_drawn(study: Any) -> None:
    Path(STUDY).write_bytes(as_yaml(study))
    try:
        plan = planned()
    except UserError as error:
        check(error, *FILES)
        event("refused")
        return
    if len(plan.runs) > 12 or not all(map(light, plan.runs.values())):
        event("accepted, not trained")
        return
    try:
        made(plan)
        event("trained")
    finally:
        shutil.rmtree("results", ignore_errors=True)


RUN = {
    "method": "cra_dl",
    "problem": {"name": "linear_regression", "subsets": 12, "dimension": 3, "sigma_h": 0.3, "label_noise": 1.0},
    "devices": 6,
    "redundancy": 4,
    "encoding": "uniform",
    "compression": {"name": "random_k", "share": 0.5},
    "attack": {"name": "sign_flip", "coefficient": -2},
    "byzantine": {"alpha": 0.2, "identities": "redrawn", "compressed": True},
    "pre_aggregation": {"name": "nnm"},
    "aggregation": "median",
    "step_size": 0.5,
    "iterations": 6,
    "record": {"spacing": "every", "step": 2},
    "seeds": [0, 5],
    "dtype": "float64",
}


@trying(0.13)
@given(structures(RUN))
def test_an_accepted_run_is_trained(values: Any) -> None:
    try:
        text = json.dumps(values)
        spec = RunSpec.from_json(text, "--spec")
    except ValueError:  # a whole number of more digits than Python writes
        return
    except UserError as error:
        check(error, "--spec")
        event("refused")
        return
    if not light(spec):
        event("accepted, not trained")
        return
    try:
        byzcode("train", "--spec", text, "--out", "results/run.nc")
        assert trajectories.load(Path("results/run.nc")).spec == spec
        event("trained")
    finally:
        shutil.rmtree("results", ignore_errors=True)
