"""The folder's lock in the workflow: refused where another machine works, given back at the end."""

from __future__ import annotations

from pathlib import Path

from dag.project import TINY, Project


def test_a_snakemake_on_another_machine_is_not_disturbed(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", {"holding": TINY["holding"]})
    note = project.root / ".snakemake/byzcode.lock"
    note.parent.mkdir()
    note.write_text("login2 4711 2026-01-02T03:04:05\n")

    refused = project.snakemake("--cores", "1")
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "another Snakemake is at work in this folder, on login2 (process 4711, since 2026-01-02T03:04:05)" in said
    assert "if it is dead, delete .snakemake/byzcode.lock" in said
    assert "Traceback" not in said
    assert note.read_text().startswith("login2")
    assert project.files("allocations/*") == []

    note.unlink()
    assert project.make().allocate == 2
    assert note.read_text() == ""
