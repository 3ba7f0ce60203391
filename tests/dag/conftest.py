"""The small project, made once and copied for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from dag.project import Jobs, Project, made


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Jobs]:
    """The small project with all its results (not to be changed), and the jobs that made them."""
    return made(tmp_path_factory.getbasetemp() / "made")


@pytest.fixture
def project(first_run: tuple[Project, Jobs], tmp_path: Path) -> Project:
    """A copy of the small project with all its results."""
    return first_run[0].copy(tmp_path / "project")
