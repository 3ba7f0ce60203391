"""The command that recommends a configuration."""

from __future__ import annotations

import json as json_text
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from byzcode.cli.arguments import Json, console, print_json
from byzcode.cli.completion import situations

if TYPE_CHECKING:
    from byzcode.recommend.at_start import AtStart
    from byzcode.recommend.need import Need


def recommend(
    devices: Annotated[int, typer.Option(help="Number of devices, N.")],
    alpha: Annotated[
        float, typer.Option(help="Byzantine fraction; with --expect unknown-alpha the best guess that there is.")
    ],
    budget_gradients: Annotated[int, typer.Option(help="Gradients per iteration, summed over all devices.")],
    heterogeneity: Annotated[
        float | None,
        typer.Option(
            help="Root mean squared distance of the subsets' gradients from the true gradient; or --data measures it."
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data set on which to measure the heterogeneity before any training.")
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option(help="How its examples are divided: sorted, iid, '{name: dirichlet, a: 0.1}', as in a study."),
    ] = None,
    problem: Annotated[
        str | None,
        typer.Option(
            help="Problem on which to measure it: a name or '{name: mlp, groups: 100}', as in a study. "
            "softmax_regression if left out, least_squares if the labels are real."
        ),
    ] = None,
    budget_bits: Annotated[int | None, typer.Option(help="Bits sent per iteration, summed over all devices.")] = None,
    subsets: Annotated[int | None, typer.Option(help="Number of subsets, M; N if left out.")] = None,
    dimension: Annotated[
        int | None, typer.Option(help="Number of parameters, D; that of the problem, or 100, if left out.")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            help="What else to expect: unknown-alpha, absence or knowing-liars; may be given several times. What the "
            "open questions have shown for it is then added.",
            autocompletion=situations,
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Folder of results with measurements and data sets; that of the configuration if left out."),
    ] = None,
    json: Json = False,
) -> None:
    """Recommend a method, redundancy, rule and compressor within a budget, by bounds and by measurements.

    The heterogeneity is either given or measured at the start of training, with --data or --problem.
    """
    from byzcode.data.files import ENVIRONMENT
    from byzcode.recommend.at_start import is_measured, measure, problem_of
    from byzcode.recommend.lessons import expected
    from byzcode.recommend.need import need
    from byzcode.studies.files import folder
    from byzcode.studies.workflow_config import settings

    stated = expected(expect or ())
    described = {"data": data, "partition": partition, "problem": problem}
    to_measure = is_measured(described, {"heterogeneity": heterogeneity, "dimension": dimension})
    searched = Path(settings().results) if results is None else folder(results)

    def wanted(heterogeneity: float, subsets: int | None, dimension: int) -> Need:
        return need(devices, alpha, heterogeneity, budget_gradients, budget_bits, subsets, dimension)

    if not to_measure:
        given = wanted(heterogeneity or 0.0, subsets, 100 if dimension is None else dimension)
        _answer(given, stated, searched, None, json=json)
        return
    os.environ.setdefault(ENVIRONMENT, str(searched / "data"))
    spec = problem_of(**described, subsets=subsets, devices=devices)
    wanted(1.0, spec.subsets, spec.dimension)  # refuse mistakes before anything is computed
    start = measure(spec)
    _answer(wanted(start.heterogeneity, spec.subsets, spec.dimension), stated, searched, start, json=json)


def _answer(wanted: Need, stated: frozenset[str], results: Path, start: AtStart | None, *, json: bool) -> None:
    """Search and print the recommendations, with what was measured at the start if it was."""
    from byzcode.recommend.costs import words
    from byzcode.recommend.measured import favourite, measured, measurements
    from byzcode.recommend.search import recommend as search
    from byzcode.recommend.table import record, table
    from byzcode.recommend.verdicts import lines, scorecard_in, taught

    configurations, refused = search(wanted)
    rows = measurements(results, wanted)
    compared = [(configuration, measured(wanted, configuration, rows)) for configuration in configurations]
    scorecard = scorecard_in(results)
    lessons = taught(wanted, stated, scorecard)
    if json:
        print_json(record(wanted, compared, refused, start, lessons))
        return
    if start is not None:
        print(start.words)
    console(160).print(table(wanted, compared))
    if start is not None:
        print(start.caution(any(seen is not None for _, seen in compared)))
    best = configurations[0]
    print(f"Best by the bounds: {best.title}. {best.reason}")
    print(words(wanted, best))
    print(f"As a curve of a study: {json_text.dumps(best.curve)}")
    if (preferred := favourite(compared)) is not None:
        print(f"Best by measurements: {preferred[1]}")
        if preferred[0] is not best:
            print(words(wanted, preferred[0]))
            print(f"As a curve of a study: {json_text.dumps(preferred[0].curve)}")
    for reason in refused:
        print(f"Not listed: {reason}")
    for line in lines(lessons, stated, scorecard):
        print(line)
