"""What Snakemake itself costs beside the jobs."""

from __future__ import annotations

import re

import pytest
from dag.project import Project

pytestmark = pytest.mark.slow


def without_lift(text: str) -> str:
    return text.replace("        self.snakemake.lift_rate_limit()\n", "")


def turns(project: Project) -> int:
    """How often the scheduler looks for jobs to start while every job is done again, one at a time."""
    finished = project.snakemake("--cores", "1", "--forceall", "--verbose")
    output = finished.stdout + finished.stderr
    assert finished.returncode == 0, output
    return len(re.findall("^Resources before job selection", output, re.MULTILINE))


def test_the_scheduler_has_a_turn_a_job_and_no_timers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Snakemake's limit of jobs a second would give it a turn a second for each job that is done."""
    monkeypatch.setenv("BYZCODE_WARM_STARTS", "off")  # warm jobs would end before many seconds are over
    jobs = 3 + 3 + 2 + 4 + 1  # allocations, trainings, summaries, figures, all
    assert turns(project) <= jobs + 3
    project.rewrite("src/byzcode/execution/lifecycle.py", without_lift)
    assert turns(project) > jobs + 6
