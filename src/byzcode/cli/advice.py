"""The command that recommends a configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from byzcode.cli.arguments import console


def recommend(
    devices: Annotated[int, typer.Option(help="Number of devices, N.")],
    alpha: Annotated[float, typer.Option(help="Byzantine fraction.")],
    heterogeneity: Annotated[
        float, typer.Option(help="Root mean squared distance of the subsets' gradients from the true gradient.")
    ],
    budget_gradients: Annotated[int, typer.Option(help="Gradients per iteration, summed over all devices.")],
    budget_bits: Annotated[int | None, typer.Option(help="Bits sent per iteration, summed over all devices.")] = None,
    subsets: Annotated[int | None, typer.Option(help="Number of subsets, M; N if left out.")] = None,
    dimension: Annotated[int, typer.Option(help="Number of parameters, D.")] = 100,
    results: Annotated[
        Path | None, typer.Option(help="Folder of results with measurements; that of the configuration if left out.")
    ] = None,
) -> None:
    """Recommend a method, redundancy, rule and compressor within a budget, by bounds and by measurements."""
    from byzcode.recommend.measured import favourite, measured, measurements
    from byzcode.recommend.need import need
    from byzcode.recommend.search import recommend as search
    from byzcode.recommend.table import table
    from byzcode.studies.files import folder
    from byzcode.studies.workflow_config import settings

    wanted = need(devices, alpha, heterogeneity, budget_gradients, budget_bits, subsets, dimension)
    searched = Path(settings().results) if results is None else folder(results)
    configurations, refused = search(wanted)
    rows = measurements(searched, wanted)
    compared = [(configuration, measured(wanted, configuration, rows)) for configuration in configurations]
    console(160).print(table(wanted, compared))
    best = configurations[0]
    print(f"Best by the bounds: {best.title}. {best.reason}")
    print(f"As a curve of a study: {json.dumps(best.curve)}")
    if (preferred := favourite(compared)) is not None:
        print(f"Best by measurements: {preferred[1]}")
        if preferred[0] is not best:
            print(f"As a curve of a study: {json.dumps(preferred[0].curve)}")
    for reason in refused:
        print(f"Not listed: {reason}")
