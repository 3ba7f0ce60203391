"""Requests that are too long for a command travel in a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from dag.project import TINY, Jobs, Project

pytestmark = pytest.mark.slow

REQUESTS = ".snakemake/byzcode.requests"


def shorter(text: str) -> str:
    """Let every request count as too long."""
    return text.replace("LONGEST = 60_000", "LONGEST = 0")


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which every request counts as too long, with all its results."""
    project = Project.create(tmp_path_factory.mktemp("short") / "project", TINY)
    project.rewrite("src/byzcode/execution/request_files.py", shorter)
    jobs = project.make()
    assert jobs.train == 3
    return project


def tables(project: Project) -> dict[str, bytes]:
    made = [*project.files("summaries/*.csv"), *project.files("figures/*.csv")]
    return {path.name: path.read_bytes() for path in made}


def test_what_is_made_is_the_same(short: Project, first_run: tuple[Project, Jobs]) -> None:
    assert tables(short) == tables(first_run[0])
    assert len(list((short.root / REQUESTS).glob("*/*.json"))) == 7  # four figures, two tables of runs, the gallery


def test_what_was_made_by_commands_is_not_made_again(first_run: tuple[Project, Jobs], tmp_path: Path) -> None:
    project = first_run[0].copy(tmp_path / "project")
    project.rewrite("src/byzcode/execution/request_files.py", shorter)

    assert project.would_make() == Jobs()
    assert not (project.root / REQUESTS).exists()  # a dry run writes none
    assert not (first_run[0].root / REQUESTS).exists()  # short ones need none


def test_a_label_makes_its_figure_again_by_a_new_file(short: Project, tmp_path: Path) -> None:
    project = short.copy(tmp_path / "project")
    before = {path.name for path in (project.root / REQUESTS).glob("*/*.json")}
    project.edit("config/studies/lines.yaml", "curves", 0, "label", to="Other words")
    project.edit("config/studies/lines.yaml", "plots", "excess", "curves", to=["Other words"])

    jobs = project.make()

    assert jobs == Jobs(figure={"lines-loss", "lines-excess"})
    after = {path.name for path in (project.root / REQUESTS).glob("*/*.json")}
    assert len(after) == 3  # two figures and the gallery, which shows their labels
    assert not after & before
