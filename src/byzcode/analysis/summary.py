"""The summary of a study: one row per run, with plateau, rate and cost over its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from byzcode.analysis.plateau import plateau
from byzcode.analysis.spread import spread
from byzcode.errors import UserError
from byzcode.provenance.code import comparable
from byzcode.specs import last_part
from byzcode.specs.quantities import QUANTITIES, is_share, progress_of, quantities_of
from byzcode.specs.quantities import lacking as absence
from byzcode.specs.run import RunSpec
from byzcode.storage import trajectories
from byzcode.studies.fields import in_digits
from byzcode.training.status import NEVER, Status, counts

if TYPE_CHECKING:
    import xarray

#: The columns that identify the run of a row, and their keys of a RunSpec.
IDENTITY = {
    "method": "method",
    "devices": "devices",
    "subsets": "subsets",
    "dimension": "dimension",
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

#: Keys that are not fields but follow from the options of the problem.
SIZES = ("subsets", "dimension")

#: Columns of the same kind that a summary has only if a run differs from the usual value, which is given here.
LATER = {
    "problem": ("problem", "linear_regression"),
    "step_unit": ("step_unit", "1/L"),
    "step_schedule": ("step_schedule", "constant"),
    "momentum": ("momentum", 0.0),
    "estimation": ("estimation", "none"),
    "absence": ("absence", "none"),
}

#: Columns of the same kind that a summary has only if a run has a value there.
OPTIONAL = ("sigma_h", "assumed_alpha")

#: The column of the quantities that a run lacks, with the reasons; present if a run of the study lacks one.
ABSENT = "absent"

#: Components with a column for their options.
OPTIONS = ("allocation", "compression", "attack", "pre_aggregation", "aggregation")


def summarise(paths: Sequence[Path], runs: Sequence[str]) -> pd.DataFrame:
    """One row per run. Raises UserError if a file is not readable or if files come from different engines."""
    sources: dict[str, tuple[str, Path]] = {}
    rows = []
    for path, run in zip(paths, runs, strict=True):
        stored = trajectories.load(path, run)
        _check_same_engine(trajectories.parts_in(stored.attributes), path, sources)
        rows.append(_row(stored.dataset(), stored.spec))
    return _without_usual_columns(pd.DataFrame(rows))


def _without_usual_columns(table: pd.DataFrame) -> pd.DataFrame:
    """The summary without columns that have their usual value, or no value, for all runs."""
    usual = {column: (table[column] == value).all() for column, (_, value) in LATER.items()}
    dropped = [column for column, is_usual in usual.items() if is_usual]
    dropped += [f"{column}_options" for column in dropped if f"{column}_options" in table]
    dropped += [column for column in OPTIONAL if table[column].isna().all()]
    dropped += [ABSENT] if (table[ABSENT] == "").all() else []
    return table.drop(columns=dropped)


def _check_same_engine(parts: Mapping[str, str], path: Path, sources: dict[str, tuple[str, Path]]) -> None:
    """Raise UserError if a file was made by another version of a source than an earlier file."""
    for name, meaning in parts.items():
        other, first = sources.setdefault(name, (meaning, path)) if comparable(name) else (meaning, path)
        if other != meaning:
            raise UserError(
                f"{first} and {path} were made by different versions of {name} and cannot be compared; "
                "retrain with: snakemake --cores all --forcerun train"
            )


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # levels may be 0, infinite or NaN
def _row(dataset: xarray.Dataset, spec: RunSpec) -> dict[str, Any]:
    from byzcode.studies.expand import lookup

    row: dict[str, Any] = {"run_id": spec.run_id}
    row |= {column: getattr(spec, key) if key in SIZES else lookup(spec, key) for column, key in IDENTITY.items()}
    row |= {f"{key}_options": _words(getattr(spec, key).options) for key in OPTIONS}
    row |= {column: lookup(spec, key) for column, (key, _) in LATER.items()}
    row |= {f"{key}_options": _words(getattr(spec, key).options) for key in ("problem", "step_schedule", "absence")}
    row["assumed_alpha"] = spec.assumed_alpha
    row[ABSENT] = _absent(spec)
    progress = progress_of(spec)
    iterations, excess = dataset["iteration"].to_numpy(), dataset[progress].to_numpy()
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
    for quantity in quantities_of(spec):
        values = dataset[quantity].to_numpy()
        none = bool(np.isnan(values[:, 0]).all())  # the method has no such quantity; a divergence would come later
        reached = plateau(values, iterations).level
        row |= _columns(quantity, reached, none=none or unknown, more_is_better=is_share(quantity))
    if progress == "excess_loss":
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


def _absent(spec: RunSpec) -> str:
    """The quantities that the run lacks, by reason, in words."""
    reasons: dict[str, list[str]] = {}
    for name in QUANTITIES:
        if (reason := absence(spec, name)) is not None:
            reasons.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())


def _columns(name: str, values: Any, *, none: bool = False, more_is_better: bool = False) -> dict[str, float]:
    """Median and quartiles over seeds; a seed that ended early or never reached the plateau counts as the worst."""
    over = [np.nan] * 3 if none else spread(values, more_is_better=more_is_better)
    return dict(zip((f"{name}_median", f"{name}_q25", f"{name}_q75"), map(float, over), strict=True))


def _words(options: dict[str, Any]) -> str:
    """Options as "name=value", without those that are None."""
    shown = {name: in_digits(value) if isinstance(value, float) else str(value) for name, value in options.items()}
    return " ".join(f"{name}={shown[name]}" for name, value in options.items() if value is not None)
