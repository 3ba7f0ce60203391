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
    "real-tuning-bits": ["real-d"],
    "real-tuning-minibatches": ["real-e"],
    "real-tuning-fine": ["real-f"],
    "real-tuning-fashion-fine": ["real-f-fashion"],
    "real-tuning-mlp": ["real-c-mlp"],
    "real-tuning-cnn": ["real-c-cnn"],
}
#: Curves whose step another study chose: the same devices with the same data.
SAME = {
    "Own data, M = 100": "Own data",
    "Scattered, M = 500": "Scattered",
    "LAD, d = 20, M = 500": "LAD, d = 20",
    "CRA-DL, M = 500": "CRA-DL, r/M = 0.2",
    "Scattered, M = 1000": "Scattered",
    "LAD, d = 20, M = 1000": "LAD, d = 20",
    "CRA-DL, r/M = 0.04, M = 1000": "CRA-DL, r = 40",
}
#: Of 1,500 digits, 1,200 are left for training.
CUT = {"M = 1500": "M = 1200"}
#: The study that has these curves.
COARSER = {"real-tuning-fine": "real-tuning", "real-tuning-fashion-fine": "real-tuning-fashion"}


def best_steps(members, accuracy):
    """For each curve the step with the largest mean, over all other keys, of the worst accuracy over the attacks."""
    worst = {}
    for member in members:
        place = tuple(str(value) for key, value in sorted(member.point.items()) if key not in ("attack", "step_size"))
        of_step = worst.setdefault(member.curve.label, {}).setdefault(member.spec.step_size, {})
        of_step[place] = min(of_step.get(place, 1.0), accuracy[member.spec.run_id])
    means = {label: {step: fmean(each.values()) for step, each in steps.items()} for label, steps in worst.items()}
    return {label: max(steps, key=steps.__getitem__) for label, steps in means.items()}


def chosen(plan, study):
    """The best step of each curve of a study, by the reference; skips the test if that has none."""
    if not (TABLES / f"{study}.csv").is_file():
        pytest.skip(f"no reference of {study}: make reproduce-real-all reference")
    table = pd.read_csv(TABLES / f"{study}.csv").set_index("run_id")
    ended = table[["diverged", "overflowed", "poisoned"]].sum(axis=1)
    return best_steps(plan.studies[study].members, table["test_accuracy_median"].where(ended == 0, 0.0))


@pytest.mark.parametrize("study", CHOSEN)
def test_steps_are_those_that_validation_chose(study, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = load_plan_file("config/real/all.yaml")
    best = chosen(plan, study)
    if study in COARSER:
        coarser = chosen(plan, COARSER[study])
        best |= {label: coarser[same] for label, same in SAME.items() if same in coarser}
        best |= {label.replace(old, new): step for label, step in best.items() for new, old in CUT.items()}
    for name in CHOSEN[study]:
        used = {member.curve.label: member.spec.step_size for member in plan.studies[name].members}
        assert used == {label: best[label] for label in used}, name
