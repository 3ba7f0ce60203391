"""Where results may lie: in a folder of their own."""

from __future__ import annotations

import pytest

from byzcode.errors import UserError
from byzcode.specs.parsing import parse
from byzcode.studies.workflow_config import WorkflowConfig


@pytest.mark.parametrize(
    "folder",
    [
        "src",
        "src/byzcode",
        "Config",
        "workflow",
        "profiles",
        "tests/x",
        "docs",
        "benchmarks",
        ".git",
        ".snakemake",
        ".",
    ],
)
def test_a_folder_of_the_project_is_refused(folder: str) -> None:
    with pytest.raises(UserError) as raised:
        parse(WorkflowConfig, {"studies": ["a.yaml"], "results": folder}, "config.yaml")
    said = str(raised.value)
    assert said.startswith(f"config.yaml: results = {folder!r}: ")
    assert "\n" not in said


@pytest.mark.parametrize("folder", ["results", "results/src", "sources", "runs/config", "benchmark"])
def test_any_other_is_taken(folder: str) -> None:
    assert parse(WorkflowConfig, {"studies": ["a.yaml"], "results": folder}, "config.yaml").results == folder
