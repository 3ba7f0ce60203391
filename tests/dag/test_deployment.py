"""The workflow in an environment of conda, or in a container: what Snakemake then asks of conda and apptainer.

Small programs stand in for both. This conda makes a venv that sees the libraries of the present one, whatever the file
says; this apptainer notes what it is asked and runs it without a container.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from dag.project import ROOT, TINY, Project

pytestmark = pytest.mark.slow

CONDA = """#!/bin/sh
case "$1 $2" in
  "info --json") echo '{{"conda_prefix": "{prefix}", "platform": "linux-64"}}' ;;
  "--version "*) echo "conda 25.1.0" ;;
  "config --get") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "env create")
    while [ "$1" != --prefix ]; do shift; done
    {python} -m venv "$2"
    rm -rf "$2"/lib/python*/site-packages/setuptools*
    echo "{libraries}" > "$2/lib/{version}/site-packages/libraries.pth" ;;
esac
"""
ACTIVATE = 'export PATH="$1/bin:$PATH"\n'

APPTAINER = """#!/bin/sh
case "$1" in --version) echo "apptainer version 1.3.4"; exit ;; esac
echo "$@" | head -n 1 >> {calls}
while [ "$1" != -c ]; do shift; done
exec bash -c "$2"
"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def snakemake(project: Project, programs: Path, *arguments: str) -> None:
    environment = project.environment
    environment["PATH"] = os.pathsep.join([str(programs), environment["PATH"]])
    ended = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The folder of a conda that makes a venv with the libraries of this one."""
    fields = {
        "prefix": tmp_path / "conda",
        "python": sys.executable,
        "libraries": sysconfig.get_path("purelib"),
        "version": f"python{sys.version_info.major}.{sys.version_info.minor}",
    }
    program(tmp_path / "conda" / "bin" / "conda", CONDA.format(**fields))
    program(tmp_path / "conda" / "bin" / "activate", ACTIVATE)
    return tmp_path / "conda" / "bin"


def package_of(project: Project) -> Path:
    """The folder of the package in the environment that Snakemake made, as its Python finds it."""
    (command,) = (project.root / ".snakemake" / "conda").glob("*/bin/byzcode")
    where = subprocess.run(
        [command.with_name("python"), "-c", "import byzcode; print(byzcode.__file__)"],
        cwd=project.root.parent,
        env={name: value for name, value in project.environment.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(where.stdout.strip()).parent


def test_an_environment_that_snakemake_makes_has_the_project_in_it(tmp_path: Path, programs: Path) -> None:
    project = Project.create(tmp_path / "project", {"sweep": TINY["sweep"]})
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project.root)

    snakemake(project, programs, "--sdm", "conda", "--conda-create-envs-only")

    assert package_of(project) == project.root / "src" / "byzcode", "an edit would not count"


def test_an_environment_outside_of_a_clone_has_the_package_of_snakemake_in_it(tmp_path: Path, programs: Path) -> None:
    project = Project.create(tmp_path / "project", {"sweep": TINY["sweep"]})
    environment = project.environment
    (project.root / "pyproject.toml").write_text('[project]\nname = "analysis"\n', encoding="utf-8")

    snakemake(project, programs, "--sdm", "conda")

    assert package_of(project).resolve() == project.root / "src" / "byzcode"
    (command,) = (project.root / ".snakemake" / "conda").glob("*/bin/byzcode")
    del environment["PYTHONPATH"]
    subprocess.run([command, "plan"], cwd=project.root, env=environment, check=True)
    assert len(project.files("figures/*.pdf")) == 1


def test_every_job_runs_in_the_image(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", {"sweep": TINY["sweep"]})
    calls = tmp_path / "calls"
    program(tmp_path / "bin" / "apptainer", APPTAINER.format(calls=calls))

    snakemake(project, tmp_path / "bin", "--sdm", "apptainer")

    requested = calls.read_text(encoding="utf-8").splitlines()
    assert {match[1] for line in requested if (match := re.search(r" byzcode (\w+) ", line))} == {
        "allocate",
        "train",
        "gallery",
        "summarise",
        "figure",
    }
    assert all(re.match(rf"exec --home {project.root} .*\bbyzcode\.sif bash -c ", line) for line in requested), (
        requested
    )
