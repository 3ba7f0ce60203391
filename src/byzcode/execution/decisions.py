"""Let our files decide which jobs Snakemake runs, by what they say about themselves.

Snakemake keeps records of params and code, and compares times. Records are lost with their folder, and times change
when files are copied. Therefore a file of ours that is current stays, whatever records and times say, and a stale one
is made again. A job still runs if it is forced, if an output that is needed is missing, or if a job runs that makes one
of its inputs. For all other files Snakemake's own records decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Decided(NamedTuple):
    """The paths of the files that are current, of those to be made again, and of those that are missing."""

    current: frozenset[str]
    stale: frozenset[str]
    missing: frozenset[str]


#: The methods by which Snakemake queries its records (its persistence), and their results for current jobs.
_RECORDS: dict[str, Any] = {
    "has_metadata": True,
    "has_outdated_metadata": False,
    **dict.fromkeys(("params_changed", "input_changed", "code_changed", "software_stack_changed"), ()),
}


def decide(workflow: Any, job_class: Any, decided: Callable[[], Decided]) -> None:
    """Call ``decided`` when Snakemake is about to make its graph of jobs, and let its result decide which jobs run.

    Each module of a workflow may decide on its own files.
    """
    prepare = workflow._prepare_dag

    def prepared(*arguments: Any, **options: Any) -> None:
        prepare(*arguments, **options)
        files = decided()
        dag = workflow.dag
        dag.forcefiles.update(files.stale | files.missing)
        dag.byzcode_current = current_of(dag) | files.current
        dag.byzcode_missing = missing_of(dag) | files.missing
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
    """Let a query of Snakemake's records return ``answer`` for current jobs."""
    ask = getattr(persistence, name)
    setattr(persistence, name, lambda job, *more, **options: answer if _is_current(job) else ask(job, *more, **options))


def _pass_over_times(job_class: Any) -> None:
    """Let no input be newer than the outputs of a current job."""
    original = job_class.output_mintime.fget
    if getattr(original, "of_byzcode", False):
        return

    async def output_mintime(job: Any) -> float | None:
        oldest: float | None = math.inf if _is_current(job) else await original(job)
        return oldest

    output_mintime.of_byzcode = True  # type: ignore[attr-defined]
    job_class.output_mintime = property(output_mintime)
