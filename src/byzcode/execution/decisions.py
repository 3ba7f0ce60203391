"""Which jobs Snakemake runs is decided by what files say of themselves; its own records only serve what says nothing.

Snakemake keeps records of params and code, and compares times. Records are lost with their folder, and times change
when files are copied. So of our files, those that are current stay whatever records and times say, and those that are
stale are made again. Jobs still run when they are forced, when an output is missing that is needed, and when a job runs
that makes one of their inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Decided(NamedTuple):
    """Files by their paths: those that are current, those that are to be made again, and those that are missing."""

    current: frozenset[str]
    stale: frozenset[str]
    missing: frozenset[str]


#: What Snakemake asks of its records, as methods of its persistence, and what current jobs are told.
_RECORDS: dict[str, Any] = {
    "has_metadata": True,
    "has_outdated_metadata": False,
    **dict.fromkeys(("params_changed", "input_changed", "code_changed", "software_stack_changed"), ()),
}


def decide(workflow: Any, job_class: Any, decided: Callable[[], Decided]) -> None:
    """Let the jobs of a workflow depend on what its files say, which is looked at when its graph is about to be made.

    Several modules of one workflow may each decide on their files.
    """
    prepare = workflow._prepare_dag

    def prepared(*arguments: Any, **options: Any) -> None:
        prepare(*arguments, **options)
        found = decided()
        dag = workflow.dag
        dag.forcefiles.update(found.stale | found.missing)
        dag.byzcode_current = current_of(dag) | found.current
        dag.byzcode_missing = missing_of(dag) | found.missing
        for name, answer in _RECORDS.items():
            _pass_over(workflow.persistence, name, answer)

    workflow._prepare_dag = prepared
    _pass_over_times(job_class)


def current_of(dag: Any) -> frozenset[str]:
    """The files of a graph that are current."""
    return getattr(dag, "byzcode_current", frozenset())


def missing_of(dag: Any) -> frozenset[str]:
    """The files of a graph that were missing when it was made."""
    return getattr(dag, "byzcode_missing", frozenset())


def _is_current(job: Any) -> bool:
    return bool(job.output) and current_of(job.dag).issuperset(job.output)


def _pass_over(persistence: Any, name: str, answer: Any) -> None:
    """Let a question to Snakemake's records have this answer for current jobs."""
    ask = getattr(persistence, name)
    setattr(persistence, name, lambda job, *more, **options: answer if _is_current(job) else ask(job, *more, **options))


def _pass_over_times(job_class: Any) -> None:
    """Let no input be newer than the outputs of a current job."""
    original = job_class.output_mintime.fget
    if getattr(original, "of_byzcode", False):
        return

    async def output_mintime(job: Any) -> float | None:
        found: float | None = math.inf if _is_current(job) else await original(job)
        return found

    output_mintime.of_byzcode = True  # type: ignore[attr-defined]
    job_class.output_mintime = property(output_mintime)
