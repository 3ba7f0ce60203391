"""The summary of a study: one row per run, with plateau, rate and cost over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from byzcode.analysis.plateau import plateau
from byzcode.analysis.spread import spread
from byzcode.errors import UserError
from byzcode.provenance.code import comparable
from byzcode.specs import last_part
from byzcode.specs.run import RunSpec
from byzcode.storage import trajectories
from byzcode.studies.fields import in_digits
from byzcode.studies.names import Quantity
from byzcode.training.status import NEVER, Status, counts

if TYPE_CHECKING:
    import xarray

#: The columns that identify the run of a row, and their keys of a RunSpec.
IDENTITY = {
    "method": "method",
    "devices": "devices",
    "subsets": "problem.subsets",
    "dimension": "problem.dimension",
    "sigma_h": "problem.sigma_h",
    "redundancy": "redundancy",
    "allocation": "allocation",
    "assignment": "assignment",
    "encoding": "encoding",
    "compression": "compression",
    "attack": "attack",
    "alpha": "byzantine.alpha",
    "identities": "byzantine.identities",
    "lies_compressed": "byzantine.compressed",
    "pre_aggregation": "pre_aggregation",
    "aggregation": "aggregation",
    "step_size": "step_size",
    "iterations": "iterations",
}

#: Components with a column for their options.
OPTIONS = ("allocation", "compression", "attack", "pre_aggregation", "aggregation")


def summarise(paths: Sequence[Path], runs: Sequence[str]) -> pd.DataFrame:
    """One row per run. Raises UserError if a file is not readable or if files come from different engines."""
    sources: dict[str, tuple[str, Path]] = {}
    rows = []
    for path, run in zip(paths, runs, strict=True):
        dataset = trajectories.open(path, run)
        _check_same_engine(trajectories.parts_in(dataset.attrs), path, sources)
        rows.append(_row(dataset, RunSpec.from_json(dataset.attrs["spec"], path)))
    return pd.DataFrame(rows)


def _check_same_engine(parts: Mapping[str, str], path: Path, sources: dict[str, tuple[str, Path]]) -> None:
    """Raise UserError if a file was made by another version of a source than one of the files before it."""
    for name, meaning in parts.items():
        other, first = sources.setdefault(name, (meaning, path)) if comparable(name) else (meaning, path)
        if other != meaning:
            raise UserError(
                f"{first} and {path} were made by different versions of {name}: these do not compare; "
                "retrain with: snakemake --cores all --forcerun train"
            )


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # levels may be 0, infinite or NaN
def _row(dataset: xarray.Dataset, spec: RunSpec) -> dict[str, Any]:
    from byzcode.studies.expand import lookup

    row: dict[str, Any] = {"run_id": spec.run_id}
    row |= {column: lookup(spec, key) for column, key in IDENTITY.items()}
    row |= {f"{key}_options": _words(getattr(spec, key).options) for key in OPTIONS}
    iterations, excess = dataset["iteration"].to_numpy(), dataset["excess_loss"].to_numpy()
    lacking = last_part.lacking(spec.record, spec.iterations)
    unknown = spec.undefined is not None or lacking is not None  # levels are then NaN, not infinite
    level = plateau(excess, iterations)
    status, since = dataset["status"].to_numpy(), dataset["status_at"].to_numpy()
    row |= {
        "f": spec.f,
        "seeds": len(spec.seeds),
        **{ending.word: count for ending, count in counts(status).items()},
        "ended_at": min(since[status != Status.FINISHED].tolist(), default=NEVER),  # of the first seed that ended
        "at_plateau": int(level.reached.sum()),
    }
    for name in ("decoding_failures", "decoding_errors"):
        row[name] = int(np.fmax.reduce(dataset[name].to_numpy().ravel(), initial=0.0))
    for quantity in get_args(Quantity):
        values = dataset[quantity].to_numpy()
        none = bool(np.isnan(values[:, 0]).all())  # the method has no such quantity; a divergence would come later
        row |= _columns(quantity, plateau(values, iterations).level, none=none or unknown)
    relative = level.level / excess[:, 0]
    row |= _columns("relative_excess_loss", relative, none=unknown or not excess[:, 0].any())
    row |= _columns("rate", _rate(excess, iterations, level.since), none=unknown)
    for cost in ("gradients_computed", "bits_sent"):
        total = dataset[cost].to_numpy()
        at = np.where(level.since < 0, np.nan, total[np.arange(len(total)), level.since])
        row |= _columns(f"{cost}_to_plateau", at, none=unknown)
        row[f"{cost}_per_iteration"] = np.fmax.reduce((total[:, 1:] / iterations[1:]).ravel())
    return row if lacking is None else row | {last_part.NO_LEVEL: f"record.step = {spec.record.step}: {lacking}"}


def _rate(excess: Any, iteration: Any, since: Any) -> Any:
    """Mean factor by which the excess loss shrinks per iteration until the plateau; NaN without a plateau."""
    seeds = np.arange(len(excess))
    with np.errstate(divide="ignore", invalid="ignore"):
        fallen = np.log(np.maximum(excess[seeds, since], np.finfo(float).tiny) / excess[:, 0])
        return np.where(since > 0, np.exp(fallen / iteration[since]), np.nan)


def _columns(name: str, values: Any, *, none: bool = False) -> dict[str, float]:
    """Median and quartiles over seeds; a seed that ended early or never reached the plateau counts as infinite."""
    over = [np.nan] * 3 if none else spread(values)
    return dict(zip((f"{name}_median", f"{name}_q25", f"{name}_q75"), map(float, over), strict=True))


def _words(options: dict[str, Any]) -> str:
    """Options as "name=value", without those that are None."""
    shown = {name: in_digits(value) if isinstance(value, float) else str(value) for name, value in options.items()}
    return " ".join(f"{name}={shown[name]}" for name, value in options.items() if value is not None)
