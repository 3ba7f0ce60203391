"""The summary of a study: one row a run, with plateau, rate and cost over its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from byzcode import trajectory
from byzcode.analysis.plateau import plateau
from byzcode.analysis.spread import spread
from byzcode.errors import UserError
from byzcode.studies.spec import RunSpec
from byzcode.studies.study import Quantity

if TYPE_CHECKING:
    import xarray

#: The columns that say which run a row is, and the keys of a RunSpec behind them.
IDENTITY = {
    "method": "method",
    "devices": "devices",
    "subsets": "problem.subsets",
    "dimension": "problem.dimension",
    "sigma_h": "problem.sigma_h",
    "redundancy": "redundancy",
    "allocation": "allocation",
    "encoding": "encoding",
    "attack": "attack",
    "alpha": "byzantine.alpha",
    "identities": "byzantine.identities",
    "aggregation": "aggregation",
    "iterations": "iterations",
}


def summarise(paths: Sequence[Path], runs: Sequence[str]) -> pd.DataFrame:
    """One row a run. Raises UserError where a file is not readable or the files come from different engines."""
    digests: dict[str, Path] = {}
    rows = []
    for path, run in zip(paths, runs, strict=True):
        dataset = trajectory.open(path)
        if dataset.attrs["run_id"] != run:
            raise UserError(f"{path}: holds run {dataset.attrs['run_id']}; expected {run}")
        digests.setdefault(dataset.attrs["engine_digest"], path)
        rows.append(_row(dataset, RunSpec.from_json(dataset.attrs["spec"], path)))
    if len(digests) > 1:
        (one, first), (other, second) = list(digests.items())[:2]
        raise UserError(
            f"{first} was made by engine {one}, {second} by {other}: these do not compare; "
            "retrain with: snakemake --cores all --forcerun train"
        )
    return pd.DataFrame(rows)


def _row(dataset: xarray.Dataset, spec: RunSpec) -> dict[str, Any]:
    from byzcode.studies.expand import lookup

    row: dict[str, Any] = {"run_id": spec.run_id}
    row |= {column: lookup(spec, key) for column, key in IDENTITY.items()}
    row["attack_options"] = " ".join(f"{key}={value:g}" for key, value in spec.attack.options.items())
    excess = dataset["excess_loss"].to_numpy()
    level = plateau(excess)
    row |= {
        "f": spec.f,
        "seeds": len(spec.seeds),
        "diverged": int(dataset["diverged"].sum()),
        "at_plateau": int(level.reached.sum()),
    }
    for quantity in get_args(Quantity):
        row |= _columns(quantity, plateau(dataset[quantity].to_numpy()).level)
    row |= _columns("relative_excess_loss", level.level / excess[:, 0])
    row |= _columns("rate", _rate(excess, dataset["iteration"].to_numpy(), level.since))
    for cost in ("gradients_computed", "bits_sent"):
        total = dataset[cost].to_numpy()
        at = np.where(level.since < 0, np.nan, total[np.arange(len(total)), level.since])
        row |= _columns(f"{cost}_to_plateau", at)
        row[f"{cost}_per_iteration"] = total[0, 1] / dataset["iteration"].to_numpy()[1]
    return row


def _rate(excess: Any, iteration: Any, since: Any) -> Any:
    """Mean factor by which the excess loss shrinks in one iteration, up to the plateau; NaN where there is none."""
    seeds = np.arange(len(excess))
    with np.errstate(divide="ignore", invalid="ignore"):
        fallen = np.log(np.maximum(excess[seeds, since], np.finfo(float).tiny) / excess[:, 0])
        return np.where(since > 0, np.exp(fallen / iteration[since]), np.nan)


def _columns(name: str, values: Any) -> dict[str, float]:
    """Median and quartiles over seeds; a seed that diverged, or never got there, counts as infinite."""
    over = spread(values)
    return {f"{name}_median": float(over.median), f"{name}_q25": float(over.low), f"{name}_q75": float(over.high)}
