"""The steps of the studies of real data are those that the validation examples chose."""

from __future__ import annotations

from statistics import fmean

import pandas as pd
import pytest
from unit.claim_runs import ROOT

from byzcode.studies.plan import load_plan_file

TABLES = ROOT / "results/reference/real/summaries"
#: For each study the study that chose its steps, and the rule there, if that study has several. No step helps the mean.
CHOSEN = {
    "mlp-digits": ("real-tuning-mlp-digits", None),
    "real-digits": ("real-tuning", "trimmed_mean"),
    "real-a-main": ("real-tuning", "trimmed_mean"),
    "real-a-training": ("real-tuning", "trimmed_mean"),
    "real-a-mean": ("real-tuning", "trimmed_mean"),
    "real-a-median": ("real-tuning", "median"),
    "real-a-trimmed-mean": ("real-tuning", "trimmed_mean"),
    "real-a-phocas": ("real-tuning", "phocas"),
    "real-a-geometric-median": ("real-tuning", "geometric_median"),
    "real-a-nnm": ("real-tuning-nnm", None),
    "real-a-fashion": ("real-tuning-fashion", "trimmed_mean"),
    "real-a-fashion-median": ("real-tuning-fashion", "median"),
    "real-a-fashion-nnm": ("real-tuning-fashion-nnm", None),
    "real-b": ("real-tuning", "trimmed_mean"),
    "real-c-mlp": ("real-tuning-mlp", None),
    "real-c-mlp-nnm": ("real-tuning-mlp", None),
    "real-c-cnn": ("real-tuning-cnn", None),
    "real-d": ("real-tuning-bits", None),
    "real-e": ("real-tuning-minibatches", None),
    "real-f": ("real-tuning-fine", None),
    "real-f-fashion": ("real-tuning-fashion-fine", None),
}
#: Curves of real-f and real-f-fashion whose devices have the same data as those of another study.
SAME = {
    "real-f": {
        "Own data, M = 100": "Own data",
        "Scattered, M = 500": "Scattered",
        "LAD, d = 20, M = 500": "LAD, d = 20",
        "CRA-DL, M = 500": "CRA-DL, r/M = 0.2",
    },
    "real-f-fashion": {
        "Own data, M = 100": "Own data",
        "Scattered, M = 1000": "Scattered",
        "LAD, d = 20, M = 1000": "LAD, d = 20",
        "CRA-DL, r/M = 0.04, M = 1000": "CRA-DL, r = 40",
    },
}
#: With own data the MLP ends at chance or below it under IPM with every step: it has the step of the best mean.
#: CRA-DL has the step with the best mean of the worst accuracy of each seed; by the medians compared here, 10 is best.
OTHERWISE = {"mlp-digits": {"Own data": 0.3, "CRA-DL, r/M = 0.2": 3.0}}
COARSER = {"real-f": ("real-tuning", "trimmed_mean"), "real-f-fashion": ("real-tuning-fashion", "trimmed_mean")}


@pytest.fixture(scope="module")
def plans():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return {**load_plan_file("config/config.yaml").studies, **load_plan_file("config/real/all.yaml").studies}


def best_steps(members, accuracy):
    """For each curve the step with the largest mean, over all other keys, of the worst accuracy over the attacks."""
    worst = {}
    for member in members:
        place = tuple(str(value) for key, value in sorted(member.point.items()) if key not in ("attack", "step_size"))
        of_step = worst.setdefault(member.curve.label, {}).setdefault(member.spec.step_size, {})
        of_step[place] = min(of_step.get(place, 1.0), accuracy[member.spec.run_id])
    means = {label: {step: fmean(each.values()) for step, each in steps.items()} for label, steps in worst.items()}
    return {label: max(steps, key=steps.__getitem__) for label, steps in means.items()}


def chosen(plans, study, rule):
    """The best step of each curve of a study that chooses steps, by the reference; skips the test if that has none."""
    if not (TABLES / f"{study}.csv").is_file():
        pytest.skip(f"no reference of {study}: make reproduce-real-all reference")
    table = pd.read_csv(TABLES / f"{study}.csv").set_index("run_id")
    ended = table[["diverged", "overflowed", "poisoned"]].sum(axis=1)
    members = [member for member in plans[study].members if rule in (None, member.point.get("aggregation"))]
    return best_steps(members, table["test_accuracy_median"].where(ended == 0, 0.0))


def test_every_study_of_real_data_has_a_study_that_chose_its_steps(plans):
    assert CHOSEN.keys() == {name for name in plans if name.startswith(("real-", "mlp-")) and "tuning" not in name}


@pytest.mark.parametrize("study", CHOSEN)
def test_steps_are_those_that_validation_chose(study, plans):
    best = chosen(plans, *CHOSEN[study])
    if study in COARSER:
        coarser = chosen(plans, *COARSER[study])
        best |= {label: coarser[same] for label, same in SAME[study].items()}
    best |= {label.replace("1200", "1500"): step for label, step in best.items()}  # of 1,500 digits, 1,200 train there
    best |= OTHERWISE.get(study, {})
    used = {member.curve.label: member.spec.step_size for member in plans[study].members}
    assert used == {label: best[label] for label in used}
