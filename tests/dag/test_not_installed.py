"""Snakemake where byzcode is not installed, or one of its libraries: one line, and nothing for ``--lint`` to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dag.project import ROOT, TINY, Project

pytestmark = pytest.mark.slow


@pytest.fixture(params=["byzcode", "numpy"])
def missing(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Project, dict[str, str], str]:
    """A project, and the environment of a Python that has not one package."""
    name = str(request.param)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    error = f'raise ModuleNotFoundError("No module named {name!r}", name={name!r})\n'
    (hidden / f"{name}.py").write_text(error, encoding="utf-8")
    project = Project.create(tmp_path / "project", TINY)
    path = os.pathsep.join([str(hidden), project.environment["PYTHONPATH"]])
    return project, {**project.environment, "PYTHONPATH": path}, name


def snakemake(project: Project, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_rules_are_in_order_all_the_same(missing: tuple[Project, dict[str, str], str]) -> None:
    project, environment, _ = missing

    ended = snakemake(project, environment, "--lint")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Congratulations" in ended.stderr


@pytest.mark.parametrize("arguments", [["--cores", "1"], ["--dry-run"], ["--list"], ["--summary"], ["all", "-n"]])
def test_every_start_says_how_it_is_installed(
    missing: tuple[Project, dict[str, str], str], arguments: list[str]
) -> None:
    project, environment, name = missing

    ended = snakemake(project, environment, *arguments)

    output = ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert f"byzcode is not installed where Snakemake runs (No module named '{name}')" in output
    assert "`pip install -e '.[workflow]'` installs it" in output
    assert "Traceback" not in output
    assert not list(project.root.glob("results/*"))


def test_an_environment_that_is_not_in_the_path_is_found(tmp_path: Path) -> None:
    """Snakemake called by its path: jobs call the byzcode that lies beside it."""
    project = Project.create(tmp_path / "project", {"holding": TINY["holding"]})

    ended = snakemake(project, {**project.environment, "PATH": os.defpath}, "--cores", "1")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(project.files("figures/*.pdf")) == 1


def test_the_extra_that_is_named_has_what_the_workflow_needs() -> None:
    assert "\nworkflow = [" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
