"""The wheel and the sdist: what is in them, and that the wheel gives library, commands and workflow without a clone.

Nothing is downloaded: the environment in which the wheel is installed sees the libraries of this one, but not byzcode.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from dag.project import ROOT
from tools import tool

from byzcode import __version__
from byzcode.kernels.native import library
from byzcode.storage.layout import STAGES

pytestmark = pytest.mark.slow

#: What an sdist is made from.
SOURCES = (
    "LICENSE",
    "README.md",
    "Snakefile",
    "codemeta.json",
    "config",
    "profiles",
    "pyproject.toml",
    "setup.py",
    "src",
    "workflow",
)
QUICK = ("--configfile", "config/quick/config.yaml")


def run(*command: object, at: Path, **environment: str) -> str:
    """Run a program, which must end well. Returns all that it says."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "PYTHON"))}
    ended = subprocess.run(
        list(map(str, command)), cwd=at, env={**outside, **environment}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with an sdist, and with the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "clone" / "results").mkdir(parents=True)
    shutil.copy(ROOT / "results/README.md", folder / "clone" / "results")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            without = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so")
            shutil.copytree(ROOT / name, folder / "clone" / name, symlinks=True, ignore=without)
        else:
            shutil.copy(ROOT / name, folder / "clone")
    sdist = "from setuptools.build_meta import build_sdist; build_sdist('../dist')"
    (folder / "dist").mkdir()
    run(sys.executable, "-c", sdist, at=folder / "clone")
    (made,) = (folder / "dist").glob("*.tar.gz")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "dist")
    run(sys.executable, "-m", "pip", "wheel", *offline, made, at=folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


def test_one_wheel_serves_every_python(wheel: Path) -> None:
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_") if library() else "any"
    assert wheel.name == f"byzcode-{__version__}-py3-none-{platform}.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert ("byzcode/kernels/_native.so" in names) == bool(library())
    assert not any("cpython" in name or "__pycache__" in name for name in names)


def test_the_wheel_and_the_sdist_have_the_files_of_the_workflow(dist: Path, wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    inside = set(archive.namelist())
    with tarfile.open(next(dist.glob("*.tar.gz"))) as unpacked:
        of_sdist = {member.name.partition("/")[2] for member in unpacked.getmembers()}
    for folder, place in (("config", "config"), ("workflow", "project/workflow"), ("profiles", "project/profiles")):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        names = {path: f"byzcode/{place}/{path.relative_to(ROOT / folder).as_posix()}" for path in files}
        assert set(names.values()) == {name for name in inside if name.startswith(f"byzcode/{place}/")}
        assert {f"src/{name}" for name in names.values()} <= of_sdist
        assert all(archive.read(name) == path.read_bytes() for path, name in names.items())


def test_the_index_would_take_them(dist: Path) -> None:
    assert "FAILED" not in run(tool("twine"), "check", "--strict", *dist.iterdir(), at=dist)


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder."""

    environment: Path
    folder: Path

    def __call__(self, program: str, *words: object, at: Path | None = None) -> str:
        """Run the Python of the environment, or a program in it."""
        if program == "byzcode":
            return run(self.environment / "bin/byzcode", *words, at=at or self.folder)
        command = ["-m", program] if program != "python" else []
        return run(self.environment / "bin/python", *command, *words, at=at or self.folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    made = Installed(tmp_path_factory.mktemp("env") / "env", tmp_path_factory.mktemp("work"))
    venv.create(made.environment, with_pip=True)
    made("pip", "install", "--no-index", "--no-deps", wheel)
    # A path and no folder of sites: the links in it, such as that to the clone, do not count.
    place = made("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(place, "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return made


def test_the_library_is_the_same_code(installed: Installed) -> None:
    said = installed(
        "python",
        "-c",
        "import byzcode, json; from byzcode.kernels.native import library; from byzcode.storage.layout import STAGES\n"
        "digests = {name: stage.digest() for name, stage in STAGES.items()}\n"
        "print(json.dumps([byzcode.__file__, bool(library()), digests]))",
    )

    file, compiled, digests = json.loads(said)
    assert Path(file).is_relative_to(installed.environment)
    assert compiled == bool(library())
    assert digests == {name: stage.digest() for name, stage in STAGES.items()}


def test_without_a_clone_the_workflow_draws_its_figures(installed: Installed) -> None:
    folder = installed.folder / "first"
    assert f"cd {folder}" in installed("byzcode", "init", folder)

    installed("snakemake", "--cores", "2", *QUICK, at=folder)

    assert (folder / "results/quick/scorecard.html").stat().st_size > 1000
    said = json.loads(installed("byzcode", "plan", "--json", "--config", QUICK[1], at=folder))
    assert {run["state"] for run in said["runs"].values()} == {"current"}
    drawn = {path.stem for path in (folder / "results/quick/figures").glob("*.pdf")}
    assert {name.partition("-")[0] for name in drawn} == {name.partition("-")[0] for name in said["studies"]}
    assert "Nothing to be done" in installed(
        "snakemake", "--cores", "2", *QUICK, "--logger-byzcode-show", "snakemake", at=folder
    )


def test_a_study_of_ones_own_is_planned(installed: Installed) -> None:
    folder = installed.folder / "second"
    installed("byzcode", "init", folder)
    installed("byzcode", "new", "study", "my-question", at=folder)

    assert re.search(
        r"^train +4$", installed("snakemake", "-n", "results/summaries/my-question.csv", at=folder), re.MULTILINE
    )


def test_snakedeploy_makes_a_folder_that_uses_the_workflow(installed: Installed, tmp_path: Path) -> None:
    """It takes a local folder here, whose rules it then names by a path relative to it: make that absolute."""
    source, made = tmp_path / "source", tmp_path / "made"
    for folder in ("config", "profiles", "workflow"):
        shutil.copytree(ROOT / folder, source / folder)
    run(tool("snakedeploy"), "deploy-workflow", source, made, "--name", "byz", "--tag", "v1", at=tmp_path)
    snakefile = made / "workflow/Snakefile"
    text = snakefile.read_text(encoding="utf-8")
    assert text.count('"workflow/Snakefile"') == 1
    snakefile.write_text(text.replace('"workflow/Snakefile"', f'"{source / "workflow/Snakefile"}"'), encoding="utf-8")

    said = installed("snakemake", "-n", *QUICK, at=made)

    runs = json.loads(installed("byzcode", "plan", "--json", "--config", QUICK[1], at=made))["runs"]
    assert re.search(rf"^train +{len(runs)}$", said, re.MULTILINE), said
