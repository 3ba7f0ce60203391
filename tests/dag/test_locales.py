"""Where the locale is not UTF-8: texts of any alphabet, and nothing is refused, lost or written otherwise."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from dag.project import STUDIES, Project
from dag.test_scorecard_rules import ALTERNATIVES, CLAIMED, MULTIVERSE, OPEN, SETTINGS

from byzcode.specs.run import RunSpec

pytestmark = pytest.mark.slow

#: Latin letters, Greek ones, Chinese ones, and one of those that UTF-16 writes as two.
WORDS = "Größe α → ∞, 冗余度, 𝛼"  # noqa: RUF001

_BARE = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LOCALES = {
    "C": {**_BARE, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    "de_DE": {**_BARE, "LC_ALL": "de_DE"},
}
SPEC = {
    "method": "rba_dl",
    "aggregation": "median",
    "devices": 4,
    "iterations": 2,
    "seeds": 1,
    "problem": {"name": "linear_regression", "subsets": 4, "dimension": 2},
}
SAME = (
    "figures/*.*",
    "summaries/*.csv",
    "claims/*.csv",
    "scorecard.csv",
    "scorecard.html",
    "index.html",
    "multiverse/*.*",
)


def worded() -> dict[str, dict[str, Any]]:
    """The small studies, with such words wherever there may be any."""
    studies = copy.deepcopy(CLAIMED)
    for study in studies.values():
        study["title"] += f" {WORDS}"
        study["paper"] = {"source": WORDS, "figure": WORDS, "reported": WORDS, "mark": "stated"}
        for curve in study["curves"]:
            curve["label"] += " α冗𝛼"
        for plot in study["plots"].values():
            plot["caption"] += f" {WORDS}"
            if "curves" in plot:
                plot["curves"] = [f"{label} α冗𝛼" for label in plot["curves"]]
        for claim in study.get("claims", []):
            claim |= {key: f"{claim[key]} {WORDS}" for key in ("says", "source", "confirms", "refutes")}
            claim |= {key: f"{claim[key]} α冗𝛼" for key in ("curve", "against") if key in claim}
    return studies


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of such words with all its results, made where the locale is UTF-8."""
    project = Project.create(tmp_path_factory.mktemp("locales") / "made", {})
    for name, study in worded().items():
        project.write(f"{STUDIES}/{name}-größe-冗.yaml", study)
    project.edit("config/config.yaml", "studies", to=[f"{STUDIES}/lines-größe-冗.yaml", f"{STUDIES}/[!l]*.yaml"])
    project.write(MULTIVERSE, {**SETTINGS, "random": 1})
    opened = copy.deepcopy(OPEN)
    for choice in opened["choices"]:
        choice["title"] += WORDS
        choice["others"][0]["reason"] += WORDS
    project.write(ALTERNATIVES, opened)
    finished = project.snakemake("--cores", "2", "all", "multiverse")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return project


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The locale de_DE of ISO 8859-1, compiled here, for few machines have it."""
    folder = tmp_path_factory.mktemp("locale")
    if shutil.which("localedef") is None:
        pytest.skip("no localedef")
    subprocess.run(["localedef", "-i", "de_DE", "-f", "ISO-8859-1", folder / "de_DE"], check=False, capture_output=True)
    if not (folder / "de_DE").exists():
        pytest.skip("no sources of locales")
    return {"LOCPATH": str(folder)}


@pytest.fixture(params=LOCALES)
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """What makes a process one of another locale."""
    more = request.getfixturevalue("latin") if request.param == "de_DE" else {}
    variables: dict[str, str] = {**LOCALES[request.param], **more}
    probe = "import sys; print(sys.getfilesystemencoding(), sys.stdout.encoding)"
    output = subprocess.run(
        [sys.executable, "-c", probe], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert "utf-8" not in output.stdout.lower(), output.stdout
    return variables


def run(project: Project, settings: dict[str, str], *command: str) -> str:
    """Run a command of the project in a locale; it must end well. What it said, whatever its letters are."""
    outside = {name: value for name, value in project.environment.items() if name not in ("LANG", "LC_CTYPE")}
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project.root,
        env={**outside, **settings},
        capture_output=True,
        check=False,
    )
    output = (ended.stdout + ended.stderr).decode("latin-1")
    assert ended.returncode == 0, output
    assert command[0] == "snakemake" or "Traceback" not in output  # Snakemake's own log names the folder, if it can
    return output


def test_the_workflow_makes_the_same(made: Project, settings: dict[str, str], tmp_path: Path) -> None:
    project = made.copy(tmp_path / "größe 冗")
    shutil.rmtree(project.root / "results")
    shutil.rmtree(project.root / ".snakemake")

    run(project, settings, "snakemake", "--cores", "2", "all", "multiverse")

    compared = 0
    for pattern in SAME:
        for path in made.files(pattern):
            if path.suffix != ".sha256":  # it says of which trajectories, which say how long they took
                assert (project.root / path.relative_to(made.root)).read_bytes() == path.read_bytes(), path
                compared += 1
    assert compared >= 20
    assert "Nothing to be done" in run(project, settings, "snakemake", "--cores", "1", "all", "multiverse")
    assert "Nothing to be done" in (done := project.snakemake("--dry-run")).stdout + done.stderr


def test_commands_say_what_they_say(made: Project, settings: dict[str, str], tmp_path: Path) -> None:
    project = made.copy(tmp_path / "größe 冗")
    cli = "byzcode.cli"
    first = project.files("trajectories/*.nc")[0].stem
    (project.root / "größe.yaml").write_text("device: cpu\n", encoding="utf-8")

    assert "3 runs: 3 current" in run(project, settings, cli, "plan", "--config", "größe.yaml")
    run(project, settings, cli, "plan", "--slurm")
    assert first in run(project, settings, cli, "explain", first)
    arguments = ("--devices", "8", "--alpha", "0.2", "--heterogeneity", "10", "--budget-gradients", "16")
    assert "Best by the bounds" in run(project, settings, cli, "recommend", *arguments)
    assert "results: all is well" in run(project, settings, cli, "verify")
    (project.root / "größe.json").write_text(RunSpec.parse(SPEC, "test").canonical(), encoding="utf-8")
    run(project, settings, cli, "train", "--spec", "größe.json", "--out", "größe.nc")
    assert (project.root / "größe.nc").exists()
    run(project, settings, cli, "archive", "--out", "there.tar.gz", "--config", "größe.yaml")
    packed = project.byzcode("archive", "--out", "here.tar.gz", "--config", "größe.yaml")
    assert packed.returncode == 0, packed.stderr
    with tarfile.open(project.root / "here.tar.gz") as utf, tarfile.open(project.root / "there.tar.gz") as other:
        contents = [{entry.name: tar.extractfile(entry).read() for entry in tar} for tar in (utf, other)]
    manifest = "results/archived/manifest.json"
    assert contents[0] == contents[1], {name for name, text in contents[0].items() if contents[1].get(name) != text}
    assert manifest in contents[0]


def test_a_mistake_is_told(made: Project, settings: dict[str, str], tmp_path: Path) -> None:
    project = made.copy(tmp_path / "project")
    project.edit(f"{STUDIES}/lines-größe-冗.yaml", "curves", 0, "label", to="")
    outside = {**project.environment, **settings}

    for command in (["byzcode.cli", "plan"], ["snakemake", "-n"]):
        ended = subprocess.run(
            [sys.executable, "-m", *command], cwd=project.root, env=outside, capture_output=True, check=False
        )
        output = (ended.stdout + ended.stderr).decode("latin-1")
        assert ended.returncode == 1, output
        assert "curves[0].label = '': allowed: 1 or more characters" in output
        assert "UnicodeEncodeError" not in output
