"""An archive of results, unpacked where nothing was ever made: all pictures are drawn anew, and nothing is trained."""

from __future__ import annotations

import json
import shlex
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest
from dag.project import ROOT, STUDIES, Project
from dag.test_scorecard_rules import CLAIMED, jobs
from unpacking import unpack

pytestmark = pytest.mark.slow

ARCHIVE = "byzcode-results.tar.gz"
DRAWN = (
    "figures/*.csv",
    "figures/*.svg",
    "figures/*.pdf",
    "figures/*.png",
    "summaries/*.csv",
    "claims/*.csv",
    "scorecard.csv",
)


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with all its results, and their archive."""
    project = Project.create(tmp_path_factory.mktemp("archive") / "made", CLAIMED)
    finished = project.snakemake("--cores", "2")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    packed = project.byzcode("archive")
    assert packed.returncode == 0, packed.stderr
    return project


@pytest.fixture
def fresh(archived: Project, tmp_path: Path) -> Project:
    """The same project without results and without what Snakemake noted, and the archive unpacked in it."""
    project = Project.create(tmp_path / "fresh", CLAIMED)
    unpack(archived.root / ARCHIVE, project.root)
    return project


def test_an_archive_holds_the_results_and_what_made_them(archived: Project) -> None:
    with tarfile.open(archived.root / ARCHIVE) as tar:
        names = tar.getnames()
        assert all(entry.isfile() and (entry.uid, entry.gid, entry.uname) == (0, 0, "") for entry in tar)
    made = {str(path.relative_to(archived.root)) for path in archived.files("**/*") if path.is_file()}
    about = {name for name in names if name.startswith(("results/archived/", "results/ro-crate-metadata.json"))}
    assert set(names) - about == {name for name in made if "/logs/" not in name}
    assert names == sorted(set(names) - about) + sorted(about, key=names.index)
    kept = {name.removeprefix("results/archived/configuration/") for name in about}
    assert kept >= {"config/config.yaml", "config/style.yaml", "config/readings/primary.yaml", f"{STUDIES}/lines.yaml"}


def test_a_manifest_says_what_made_the_results(fresh: Project) -> None:
    found = json.loads((fresh.root / "results/archived/manifest.json").read_text())
    again = "snakemake --cores all --configfile results/archived/config.yaml"
    assert found["made_anew_by"] == again
    assert found["redrawn_by"] == f"{again} --forcerun summarise figure claims scorecard gallery"
    assert found["made_with"]["torch"] == [version("torch")]
    packed = found["packed_with"]
    assert {"torch", "numpy", "snakemake", "matplotlib"} <= set(packed["distributions"])
    assert packed["commit"] is None  # no repository
    assert packed["python"]
    assert packed["platform"]
    for name, listed in found["files"].items():
        assert (fresh.root / "results" / name).stat().st_size == listed["bytes"]


def test_unpacked_results_verify_and_nothing_is_to_be_done(fresh: Project) -> None:
    ended = fresh.byzcode("verify")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    planned = fresh.snakemake("--dry-run")
    assert "Nothing to be done" in planned.stdout + planned.stderr


def test_every_figure_is_drawn_anew_without_training(fresh: Project) -> None:
    manifest = json.loads((fresh.root / "results/archived/manifest.json").read_text())
    before = {path: path.read_bytes() for pattern in DRAWN for path in fresh.files(pattern)}
    times = {path: path.stat().st_mtime_ns for path in (*before, *fresh.files("*/*.nc"))}
    command = shlex.split(manifest["redrawn_by"].replace("--cores all", "--cores 2"))

    ended = fresh.snakemake(*command[1:])

    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    done = jobs(output)
    assert set(done) == {"summarise", "figure", "claims", "scorecard", "gallery"}
    assert len(done["figure"]) == len(fresh.files("figures/*.svg")) == 4
    for path, content in before.items():
        assert path.read_bytes() == content, path
        assert path.stat().st_mtime_ns > times[path]
    for path in fresh.files("*/*.nc"):
        assert path.stat().st_mtime_ns == times[path]
    assert fresh.byzcode("verify").returncode == 0


def test_the_commands_are_those_of_the_documentation() -> None:
    said = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    configured = "results/archived/config.yaml"
    assert f"byzcode verify --config {configured}" in said
    assert f"snakemake --cores 2 --configfile {configured} --forcerun summarise figure claims scorecard gallery" in said


def test_results_of_files_and_values_laid_over_the_configuration_are_drawn_anew(tmp_path: Path) -> None:
    """Where it is unpacked, the configuration says otherwise, and the files that were laid over it are not there."""
    made = Project.create(tmp_path / "made", CLAIMED, results="out")
    made.write("mine.yaml", {"studies": [f"{STUDIES}/lines.yaml"]})
    laid = ("--configfile", "mine.yaml", "--config", "results=mine")
    finished = made.snakemake("--cores", "2", *laid)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    packed = made.byzcode("archive", "--config", "mine.yaml", "--config", "results=mine")
    assert packed.returncode == 0, packed.stderr
    fresh = Project.create(tmp_path / "fresh", CLAIMED)
    with tarfile.open(made.root / ARCHIVE) as tar:
        assert {name.partition("/")[0] for name in tar.getnames()} == {"mine"}
    unpack(made.root / ARCHIVE, fresh.root)
    kept = fresh.root / "mine/archived"
    assert json.loads((kept / "manifest.json").read_text())["config"] == ["config/config.yaml", "mine.yaml"]
    assert (kept / "configuration/mine.yaml").read_bytes() == (made.root / "mine.yaml").read_bytes()
    before = {path: path.read_bytes() for path in sorted((fresh.root / "mine/figures").iterdir())}

    verified = fresh.byzcode("verify", "--config", "mine/archived/config.yaml")
    command = shlex.split(json.loads((kept / "manifest.json").read_text())["redrawn_by"])
    ended = fresh.snakemake(*command[1:])

    assert verified.returncode == 0, verified.stdout + verified.stderr
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    assert set(jobs(output)) == {"summarise", "figure", "claims", "scorecard", "gallery"}
    assert {path: path.read_bytes() for path in before if path.suffix != ".sha256"} == {
        path: content for path, content in before.items() if path.suffix != ".sha256"
    }
    assert not (fresh.root / "results").exists()
