"""What a Snakemake that was killed has left finished: recorded as done, not made again.

Snakemake marks the files of a job as incomplete until it has seen the job end, and deletes marked files. Ours are whole
or not there, and say what they are of. So what is whole, of this code and of what is asked for now, is recorded as if
the job had just ended; anything else stays marked.
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


def keep(workflow: Any, results: Path, whole_of: Callable[[set[Path]], set[Path]], say: Callable[[str], None]) -> bool:
    """Record finished jobs that Snakemake is about to run again, and return whether there were some.

    Then its graph of jobs is out of date. ``whole_of`` gives those of some files that are whole, of this code and of
    what is asked for.
    """
    found = [job for job in workflow.dag.needrun_jobs() if _appeared(workflow, results, job)]
    if not found:
        return False
    whole = whole_of({Path(file) for job in found for file in job.output})
    kept = [job for job in found if whole.issuperset(map(Path, job.output))]
    for job in found:
        if job in kept:
            workflow.async_run(workflow.persistence.finished(job))
        else:
            workflow.persistence.started(job)
    if kept:
        say(f"{len(kept)} jobs of an earlier Snakemake have ended well: what they made is kept")
    return bool(kept)


def _appeared(workflow: Any, results: Path, job: Any) -> bool:
    """Whether the results of a job are there, though they are marked, or were not there when the graph was made."""
    files = [Path(file) for file in job.output]
    ours = bool(files) and all(file.is_relative_to(results) for file in files)
    if not ours or job.rule in workflow.dag.forcerules or not all(file.exists() for file in files):
        return False
    marked = workflow.async_run(workflow.persistence.incomplete(job))
    return bool(
        marked or workflow.dag.reason(job).missing_output or not missing_of(workflow.dag).isdisjoint(job.output)
    )


def start_again(workflow: Any) -> NoReturn:
    """Be Snakemake once more, from the start: what is to be done was found out before jobs of an earlier one had ended.

    Raises UserError where Snakemake is part of another program.
    """
    if not from_command_line(sys.argv[0]):
        ended = "jobs of an earlier Snakemake have ended, and what is left to do was found out before"
        raise UserError(f"{ended}: start Snakemake once more")
    workflow.logger_manager.stop()
    os.chdir(workflow.rundir)  # paths on the command line are relative to it
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - the words that this process was started with
