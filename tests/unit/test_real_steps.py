"""The steps of the studies of real data are those that the validation examples chose."""

from __future__ import annotations

from statistics import fmean

import pandas as pd
import pytest
from unit.claim_runs import ROOT

from byzcode.studies.plan import load_plan_file

TABLES = ROOT / "results/reference/real/summaries"
#: The study that chooses steps, and those whose steps it chooses.
CHOSEN = {
    "real-tuning": ["real-a-digits", "real-a-digits-nnm", "real-b"],
    "real-tuning-fashion": ["real-a-fashion", "real-a-fashion-nnm"],
}


def best_steps(members, accuracy):
    """For each curve the step with the largest mean, over all other keys, of the worst accuracy over the attacks."""
    worst = {}
    for member in members:
        place = tuple(str(value) for key, value in sorted(member.point.items()) if key not in ("attack", "step_size"))
        of_step = worst.setdefault(member.curve.label, {}).setdefault(member.spec.step_size, {})
        of_step[place] = min(of_step.get(place, 1.0), accuracy[member.spec.run_id])
    means = {label: {step: fmean(each.values()) for step, each in steps.items()} for label, steps in worst.items()}
    return {label: max(steps, key=steps.__getitem__) for label, steps in means.items()}


@pytest.mark.parametrize("study", CHOSEN)
def test_steps_are_those_that_validation_chose(study, monkeypatch):
    if not (TABLES / f"{study}.csv").is_file():
        pytest.skip("no reference of real data: make reproduce-real reference")
    monkeypatch.chdir(ROOT)
    plan = load_plan_file("config/real/config.yaml")
    table = pd.read_csv(TABLES / f"{study}.csv").set_index("run_id")
    ended = table[["diverged", "overflowed", "poisoned"]].sum(axis=1)
    accuracy = table["test_accuracy_median"].where(ended == 0, 0.0)
    chosen = best_steps(plan.studies[study].members, accuracy)
    for name in CHOSEN[study]:
        used = {member.curve.label: member.spec.step_size for member in plan.studies[name].members}
        assert used == {label: chosen[label] for label in used}, name
