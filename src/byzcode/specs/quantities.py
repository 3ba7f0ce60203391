"""The quantities measured in a run: those of all problems, those that need an optimum, and a problem's own metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from byzcode.problems import PROBLEMS, Known, Metric

if TYPE_CHECKING:
    from byzcode.specs.run import RunSpec

#: Quantities measured at each recorded iteration, in the order in which files store them.
QUANTITIES = (
    "loss",
    "excess_loss",
    "aggregation_error",
    "honest_dispersion",
    "coding_bias",
    "heterogeneity",
    "largest_heterogeneity",
    "gradient_norm",
    "distance_to_optimum",
)
#: Cumulative counts.
COUNTS = ("bits_sent", "decoding_failures", "decoding_errors")
#: Constants of the problem, one number per seed.
CONSTANTS: tuple[Known, ...] = ("smoothness", "strong_convexity")

#: By quantity, what the problem must know so that the quantity can be measured.
NEEDS: Mapping[str, Known] = {
    "excess_loss": "optimum",
    "distance_to_optimum": "optimum",
    **{constant: constant for constant in CONSTANTS},
}
_WORDS: Mapping[Known, str] = {
    "optimum": "its optimum",
    "smoothness": "its smoothness L",
    "strong_convexity": "its strong convexity mu",
}


#: The quantity of a run whose server estimates f. Neither more nor less of it is better.
ESTIMATE = "estimated_f"


#: The modelled time since the start, of runs with a model of delays.
WALL_TIME = "wall_time"


def metrics() -> dict[str, Metric]:
    """The metrics of all problems, by name."""
    return {name: metric for kind in PROBLEMS.values() for name, metric in kind.metrics.items()}


def quantities_of(spec: RunSpec) -> tuple[str, ...]:
    """The quantities measured in a run, in the order in which files store them."""
    kind = spec.problem_kind
    common = [name for name in QUANTITIES if lacking(spec, name) is None]
    return (*common, *([ESTIMATE] if spec.estimates else []), *kind.metrics)


def counts_of(spec: RunSpec) -> tuple[str, ...]:
    """The cumulative counts of a run."""
    return (*COUNTS, WALL_TIME) if spec.timed else COUNTS


def constants_of(spec: RunSpec) -> tuple[Known, ...]:
    """The constants that the problem of a run knows."""
    return tuple(name for name in CONSTANTS if name in spec.problem_kind.knows)


def lacking(spec: RunSpec, name: str) -> str | None:
    """Why a run has no quantity or constant of that name; None if it has one."""
    kind, problem = spec.problem_kind, spec.problem.name
    if name == ESTIMATE:
        return None if spec.estimates else "the server does not estimate f"
    if name == WALL_TIME:
        return None if spec.timed else "no delays are modelled (absence: none)"
    if name in NEEDS:
        return None if NEEDS[name] in kind.knows else f"problem {problem} does not know {_WORDS[NEEDS[name]]}"
    if name in (*QUANTITIES, *COUNTS, *kind.metrics):
        return None
    return f"problem {problem} has no metric of that name"


def is_share(name: str) -> bool:
    """Whether a quantity is a share: a number between 0 and 1, where more is better."""
    return name in (known := metrics()) and known[name].linear


def progress_of(spec: RunSpec) -> str:
    """The quantity that shows a run's progress: the excess loss if the optimum is known, else the training loss."""
    return "excess_loss" if "optimum" in spec.problem_kind.knows else "loss"
