"""What a killed Snakemake has left finished is kept if it is whole and what is asked for, and made again if not."""

from __future__ import annotations

import os
import re
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from dag.project import NOTHING, STUDIES, Project

pytestmark = pytest.mark.slow  # together


def kill(project: Project, *patterns: str) -> dict[Path, tuple[int, int]]:
    """Let results look as if Snakemake had been killed before it saw their jobs end. Which they are, and how old."""
    existing = [path for pattern in patterns for path in project.files(pattern)]
    assert existing
    for path in existing:
        key = urlsafe_b64encode(str(path.relative_to(project.root)).encode()).decode()
        (project.root / ".snakemake/metadata" / key).unlink(missing_ok=True)
        marker = project.root / ".snakemake/incomplete" / key
        marker.parent.mkdir(exist_ok=True)
        marker.write_text('{"external_jobid": null}')
    return age(existing)


def age(paths: list[Path]) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


EVERYTHING = ("trajectories/*.nc", "summaries/*", "figures/*")


@pytest.mark.parametrize("patterns", [EVERYTHING, EVERYTHING[:1]])
def test_what_is_whole_is_kept_and_recorded(project: Project, patterns: tuple[str, ...]) -> None:
    left = kill(project, *patterns)
    ended = project.snakemake("--cores", "2")
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    assert "jobs of an earlier Snakemake have finished: their files are kept" in output
    assert not re.search(r"^Job \d+:", output, re.MULTILINE)
    assert age(list(left)) == left
    assert project.would_make() == NOTHING

    project.edit(f"{STUDIES}/lines.yaml", "curves", 1, "label", to="Renamed")  # as ever, so little is made again
    assert project.would_make().figure == {"lines-loss"}
    project.rewrite(
        "src/byzcode/training/workers.py", lambda text: text.replace("def train(", "NEW = 1\n\n\ndef train(", 1)
    )
    assert project.would_make().train == 3


def other_code(project: Project) -> None:
    project.rewrite(
        "src/byzcode/training/workers.py", lambda text: text.replace("def train(", "NEW = 1\n\n\ndef train(", 1)
    )


def damaged(project: Project) -> None:
    for path in project.files("trajectories/*"):
        os.truncate(path, path.stat().st_size // 2)


def exchanged(project: Project) -> None:
    first, *others = project.files("trajectories/*")
    for path in others:
        shutil.copy(first, path)
    os.truncate(first, 0)


def forced(project: Project) -> None:
    """By its command line, not by its files."""


@pytest.mark.parametrize(
    ("change", "words"),
    [(other_code, ()), (damaged, ()), (exchanged, ()), (forced, ("--forcerun", "train"))],
)
def test_what_is_not_what_would_be_made_is_made_again(
    project: Project, change: Callable[[Project], None], words: tuple[str, ...]
) -> None:
    kill(project, "trajectories/*.nc")
    change(project)
    ended = project.snakemake("--cores", "2", *words)
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    assert output.count(": train ") == 3, output
    assert "is kept" not in output
    assert project.byzcode("verify").returncode == 0
    assert project.would_make() == NOTHING


def test_one_of_several_is_kept(project: Project) -> None:
    kept, other, _ = project.files("trajectories/*.nc")
    left = kill(project, f"trajectories/{kept.name}", f"trajectories/{other.name}")
    os.truncate(other, 0)
    ended = project.snakemake("--cores", "2")
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    assert output.count(": train ") == 1, output
    assert age([kept]).items() <= left.items()


def test_what_another_project_made_meanwhile_is_kept(project: Project, tmp_path: Path) -> None:
    """It shares the results, and ended while this one found out what is to be done: nothing marks its files."""
    wanted = [str(path.relative_to(project.root)) for path in project.files("trajectories/*.nc")]
    away = tmp_path / "away"
    (project.root / "results/trajectories").rename(away)
    shutil.rmtree(project.root / ".snakemake")
    # In the place of the first thing that is done when all is found out.
    project.rewrite(
        "workflow/Snakefile",
        lambda text: (
            text.replace("onstart:\n", f"onstart:\n    come({str(away)!r})\n", 1)
            + "\n\ndef come(away):\n    if Path(away).exists():\n        Path(away).rename('results/trajectories')\n"
        ),
    )
    ended = project.snakemake("--cores", "2", *wanted)
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    assert "3 jobs of an earlier Snakemake have finished" in output
    assert ": train " not in output
