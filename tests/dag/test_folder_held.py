"""The locks of the workflow: on its folder and on its results, refused where another works, given back at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from dag.project import TINY, Project

from byzcode.execution.lock import FolderLock

pytestmark = pytest.mark.slow

HOLDING = {"holding": TINY["holding"]}


def refused(project: Project, *arguments: str) -> str:
    """What a Snakemake says that is refused, before it makes anything."""
    before = project.files("**/*")
    ended = project.snakemake("--cores", "1", *arguments)
    output = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "Traceback" not in output
    assert project.files("**/*") == before
    return output


def test_a_snakemake_on_another_machine_is_not_disturbed(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", HOLDING)
    note = project.root / ".snakemake/byzcode.lock"
    note.parent.mkdir()
    note.write_text("login2 4711 2026-01-02T03:04:05\n")

    output = refused(project)
    assert "another Snakemake is at work in this folder, on login2 (process 4711, since 2026-01-02T03:04:05)" in output
    assert "if it is dead, delete .snakemake/byzcode.lock" in output
    assert note.read_text().startswith("login2")

    note.unlink()
    assert project.make().allocate == 2
    assert note.read_text() == ""


def test_an_outer_and_a_nested_project_share_results_one_at_a_time(tmp_path: Path) -> None:
    outer = Project.create(tmp_path / "outer", HOLDING, results="link/results")
    nested = Project.create(tmp_path / "outer/nested", HOLDING)
    (outer.root / "link").symlink_to("nested")
    lock = FolderLock(results_of(nested) / ".byzcode.lock")
    for project, results in ((nested, "results"), (outer, "link/results")):
        assert f"another Snakemake is at work with the results in {results}: wait for it" in refused(project)
    assert nested.would_make().allocate == 2  # who only looks needs no lock
    lock.release()
    assert outer.make().allocate == 2
    assert nested.make().allocate == 0


def results_of(project: Project) -> Path:
    (project.root / "results").mkdir(exist_ok=True)
    return project.root / "results"


def test_who_only_looks_locks_nothing(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", HOLDING)
    for words in (("--dry-run",), ("--summary",), ("--unlock",)):
        ended = project.snakemake("--cores", "1", *words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not (project.root / "results").exists()
    assert not (project.root / ".snakemake/byzcode.lock").exists()
