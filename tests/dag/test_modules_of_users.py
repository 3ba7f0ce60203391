"""A study of the user's own torch module: the example of config/README.md is trained, and an edit trains it again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from dag.project import NOTHING, ROOT, Project
from netCDF4 import Dataset

pytestmark = pytest.mark.slow

README = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
#: The study that the README prints, in small.
STUDY = yaml.safe_load(re.search(r"```yaml\n(study: own-module\n.*?)```", README, re.DOTALL)[1])
STUDY["base"] |= {"iterations": 3, "seeds": 2}
TABLE = "results/summaries/own-module.csv"


def test_the_printed_example_is_trained_and_an_edit_trains_only_what_uses_it(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", {"own-module": STUDY})
    shutil.copytree(ROOT / "examples", project.root / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    assert project.make(TABLE).train == len(STUDY["curves"])
    assert project.would_make(TABLE) == NOTHING
    for file in project.files("trajectories/*.nc"):
        with Dataset(file) as stored:
            assert "examples.small_net" in json.loads(stored.getncattr("engine_parts"))

    project.rewrite("examples/small_net.py", lambda text: text + "\n# A comment.\n")
    assert project.would_make(TABLE) == NOTHING
    project.rewrite("examples/small_net.py", lambda text: text.replace("nn.Tanh()", "nn.ReLU()"))
    assert project.would_make(TABLE).train == len(STUDY["curves"])
    assert project.make(TABLE).train == len(STUDY["curves"])

    project.rewrite("examples/small_net.py", lambda text: text.replace("nn.ReLU()", "nn.Dropout(0.5)"))
    ended = project.snakemake("--cores", "1", TABLE)
    assert ended.returncode != 0
    output = ended.stdout + ended.stderr
    assert "problem.module = 'examples.small_net:SmallNet': a forward pass draws random numbers" in output
    assert "Traceback" not in output
