"""Commands of jobs that make a table, from trajectories or from the trainings of a reading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from byzcode.cli.arguments import Out, Results
from byzcode.cli.jobs import RequestText, job, list_of, write_table


def summarise(request: RequestText, results: Results, out: Out) -> None:
    """Write a table of plateau, rate and cost over the seeds of each run, a row per run."""
    from byzcode.analysis.summary import summarise as rows_of
    from byzcode.storage.layout import trajectory
    from byzcode.studies.requests import Summary

    with job("summarise", Summary, request, results, [out]) as content:
        runs = content["runs"]
        write_table(rows_of([trajectory(results, run) for run in runs], runs), out)


def claims(request: RequestText, results: Results, out: Out) -> None:
    """Write a table of the tests of claims: effect, interval, p-values and seeds without a plateau, a row per test."""
    from byzcode.analysis.evidence import of_study
    from byzcode.storage.layout import trajectory
    from byzcode.studies.requests import Claims

    with job("claims", Claims, request, results, [out]) as content:
        write_table(of_study(content, lambda run: trajectory(results, run)), out)


def heldout(request: RequestText, results: Results, out: Out) -> None:
    """Write the verdicts on held-out seeds, and whether the claims are those that were registered before."""
    from byzcode.scorecard.heldout import table
    from byzcode.studies.requests import Heldout

    with job("heldout", Heldout, request, results, [out]) as content:
        print(f"claims: {content['registration']['words']}")
        write_table(table(content, results), out)


def reading(
    request: RequestText,
    out: Out,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data sets; $BYZCODE_DATA or results/data if left out.")
    ] = None,
) -> None:
    """Train the runs that the claims need under one reading of the papers, and store the verdicts."""
    from byzcode.data import files
    from byzcode.multiverse.plan import files_named, of_request
    from byzcode.multiverse.universe import verdicts
    from byzcode.storage.apart import apart
    from byzcode.studies.files import read_from
    from byzcode.studies.requests import Reading

    if data is not None:
        files.use(data)
    entries: list[str] = []
    with job("reading", Reading, request, None, [out], entries=entries) as content:
        multiverse, universe = of_request(content)
        entries += multiverse.entries(universe)
        apart([out, list_of(out)], map(read_from, files_named(multiverse.plan)))
        write_table(verdicts(multiverse, universe), out)
