"""The curves of a figure with lines can be told apart."""

from __future__ import annotations

from collections import Counter

import pytest
from unit.claim_runs import ROOT

from byzcode.studies.plan import load_plan_file

CONFIGURATIONS = ["config/config.yaml", "config/long/config.yaml", "config/real/all.yaml", "config/quick/config.yaml"]
CONFIGURATIONS += ["config/open/config.yaml"]


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_curves_of_a_figure_look_different(configuration, monkeypatch):
    monkeypatch.chdir(ROOT)
    alike = {}
    for name, study in load_plan_file(configuration).studies.items():
        for plot_name, plot in study.study.plots.items():
            if plot.kind not in ("trajectories", "sweep"):
                continue
            curves = {member.curve.label: member.curve.style or member.spec.method for member in study.shown(plot)}
            looks = Counter(study.styles[style].model_dump_json() for style in curves.values())
            if looks.most_common(1)[0][1] > 1:
                alike[f"{name}: {plot_name}"] = curves
    assert not alike
