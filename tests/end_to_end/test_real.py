"""Real data in small: the workflow brings Fashion-MNIST from Debian and trains on it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from dag.project import ROOT, Project

from byzcode.studies.plain_yaml import read_yaml

pytestmark = pytest.mark.slow

CURVES = ("Own data", "Scattered", "CRA-DL, r = 40")
SMALLER = {"iterations": 8, "record.step": 1, "seeds": 2}
NO_ROUTE = "apt: apt-get "  # fails, or is not installed


def smaller(name: str) -> dict[str, object]:
    """A study of `make reproduce-real` with few examples, iterations, seeds and curves, and two attacks.

    The steps are smaller, too: the study's are chosen for 100 iterations.
    """
    study = read_yaml(ROOT / f"config/real/studies/{name}.yaml")
    problem = {**study["base"]["problem"], "examples": 2000}
    curves = [{**curve, "step_size": 16} for curve in study["curves"] if curve["label"] in CURVES]
    return {
        **study,
        "base": {**study["base"], **SMALLER, "problem": problem},
        "grid": {"attack": ["none", "sign_flip"]},
        "curves": curves,
        "plots": {"accuracy": study["plots"]["accuracy"]},
        "claims": [],
    }


def test_fashion_mnist_from_debian(tmp_path: Path) -> None:
    studies = {"real-a-fashion": smaller("real-a-fashion")}
    project = Project.create(tmp_path / "project", studies, data={"routes": ["file", "apt"]})
    ended = project.snakemake("--cores", "2")
    if ended.returncode and NO_ROUTE in (project.root / "results/logs/data/fashion_mnist.log").read_text("utf-8"):
        pytest.skip("Debian's package of Fashion-MNIST cannot be had")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    table = pd.read_csv(project.root / "results/summaries/real-a-fashion.csv")
    assert len(table) == 6
    assert (table[table["method"] == "cra_dl"]["test_accuracy_median"] > 0.5).all()  # with ten classes, chance is 0.1
    assert (project.root / "results/figures/real-a-fashion-accuracy.png").is_file()
