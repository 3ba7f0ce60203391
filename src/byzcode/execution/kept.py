"""Keep the finished files of a Snakemake that was killed: record them as done instead of making them again.

Snakemake marks the files of a job as incomplete until it has seen the job end, and deletes marked files. Our files are
either complete or missing, and say what made them. Therefore a file that is complete, of this code and for the present
request is recorded as if its job had just ended; any other file stays marked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from byzcode.errors import UserError
from byzcode.execution.decisions import missing_of
from byzcode.execution.slurm import from_command_line


def keep(workflow: Any, results: Path, usable_of: Callable[[set[Path]], set[Path]], say: Callable[[str], None]) -> bool:
    """Record finished jobs that Snakemake is about to run again, and return whether there were any.

    If there were, its graph of jobs is out of date. ``usable_of`` returns those of the given files that are complete,
    of this code and for the present request.
    """
    finished = [job for job in workflow.dag.needrun_jobs() if _appeared(workflow, results, job)]
    if not finished:
        return False
    usable = usable_of({Path(file) for job in finished for file in job.output})
    kept = [job for job in finished if usable.issuperset(map(Path, job.output))]
    for job in finished:
        if job in kept:
            workflow.async_run(workflow.persistence.finished(job))
        else:
            workflow.persistence.started(job)
    if kept:
        say(f"{len(kept)} jobs of an earlier Snakemake have finished: their files are kept")
    return bool(kept)


def _appeared(workflow: Any, results: Path, job: Any) -> bool:
    """Whether the results of a job exist although they are marked, or were missing when the graph was made."""
    files = [Path(file) for file in job.output]
    ours = bool(files) and all(file.is_relative_to(results) for file in files)
    if not ours or job.rule in workflow.dag.forcerules or not all(file.exists() for file in files):
        return False
    marked = workflow.async_run(workflow.persistence.incomplete(job))
    return bool(
        marked or workflow.dag.reason(job).missing_output or not missing_of(workflow.dag).isdisjoint(job.output)
    )


def start_again(workflow: Any, announce: Callable[[], None]) -> NoReturn:
    """Replace this process with a new Snakemake: this one planned its work before jobs of an earlier one had ended.

    Raises UserError if Snakemake is part of another program; else ``announce`` is called first.
    """
    if not from_command_line(sys.argv[0]):
        raise UserError("jobs of an earlier Snakemake ended after this one had planned its work: start Snakemake again")
    announce()
    workflow.logger_manager.stop()
    os.chdir(workflow.rundir)  # paths on the command line are relative to it
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - the command line of this process
