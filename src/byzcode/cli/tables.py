"""Commands of jobs that make one table: of trajectories, or of the trainings of a reading."""

from __future__ import annotations

from byzcode.cli.arguments import Out, Results
from byzcode.cli.jobs import RequestText, job, list_of, write_table


def summarise(request: RequestText, results: Results, out: Out) -> None:
    """One row a run: plateau, rate and cost over its seeds."""
    from byzcode.analysis.summary import summarise as rows_of
    from byzcode.storage.layout import trajectory
    from byzcode.studies.requests import Summary

    with job("summarise", Summary, request, results, [out]) as content:
        runs = content["runs"]
        write_table(rows_of([trajectory(results, run) for run in runs], runs), out)


def claims(request: RequestText, results: Results, out: Out) -> None:
    """One row a test of a claim: effect, interval, p-values, and what is not at a plateau."""
    from byzcode.analysis.evidence import of_study
    from byzcode.storage.layout import trajectory
    from byzcode.studies.requests import Claims

    with job("claims", Claims, request, results, [out]) as content:
        write_table(of_study(content, lambda run: trajectory(results, run)), out)


def reading(request: RequestText, out: Out) -> None:
    """Train what the claims need under one reading of the papers, and store their verdicts."""
    from byzcode.multiverse.plan import files_named, of_request
    from byzcode.multiverse.universe import verdicts
    from byzcode.storage.apart import apart
    from byzcode.studies.files import read_from
    from byzcode.studies.requests import Reading

    entries: list[str] = []
    with job("reading", Reading, request, None, [out], entries=entries) as content:
        multiverse, universe = of_request(content)
        entries += multiverse.entries(universe)
        apart([out, list_of(out)], map(read_from, files_named(multiverse.plan)))
        write_table(verdicts(multiverse, universe), out)
