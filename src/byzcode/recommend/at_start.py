"""The heterogeneity of a problem for a recommendation, measured before any training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from byzcode.data import DATA_SETS, files
from byzcode.errors import complain, one_of
from byzcode.problems import PROBLEMS, Solved
from byzcode.recommend.words import number
from byzcode.specs import parts
from byzcode.specs.run import RunSpec
from byzcode.studies.plain_yaml import plain
from byzcode.training.iterate import Iterate

#: What error messages name as the place of a mistake.
WHERE = "byzcode recommend"
#: The seeds on which it is measured. A seed decides which examples a subset has, and where an MLP or CNN starts.
SEEDS = (0, 1, 2)
#: A run that fits every problem: nothing of it but the problem is used.
_RUN = {"method": "rba_dl", "aggregation": "mean", "attack": "none", "devices": 1, "byzantine": {"alpha": 0.0}}
_RUN |= {"seeds": list(SEEDS)}
#: The problem whose runs count as measurements of a configuration.
_MEASURED = "linear_regression"
#: Other words for partitions.
_ALIASES = {"sorted": "by_label"}


@dataclass(frozen=True)
class AtStart:
    """betahat of each seed at the first iterate and, if the problem knows its optimum, there."""

    spec: RunSpec
    first: tuple[float, ...]
    optimum: tuple[float, ...] = ()

    @property
    def heterogeneity(self) -> float:
        """The root mean square over the seeds at the first iterate."""
        return _root_mean_square(self.first)

    @property
    def words(self) -> str:
        """What was measured, and for which problem."""
        problem = self.spec.problem
        options = ", ".join(f"{key} {_option(value)}" for key, value in problem.options.items() if value is not None)
        spread = f"{number(min(self.first))} to {number(max(self.first))} in seeds {SEEDS[0]} to {SEEDS[-1]}"
        end = f", and {number(_root_mean_square(self.optimum))} at the optimum" if self.optimum else ""
        return f"{problem.name} ({options}): S = {number(self.heterogeneity)} at the start ({spread}){end}."

    def caution(self, any_measured: bool) -> str:
        """How far the floors hold for this problem, and the measurements of runs if there are ``any_measured``."""
        text = (
            "The floors are proportional to S² and hold for any smooth problem while the heterogeneity stays at most "
            "S; it changes during training, and `heterogeneity` in a trajectory follows it. Expected floors assume "
            "that the server deals out the subsets at random, also where the data are sorted."
        )
        if any_measured and self.spec.problem.name != _MEASURED:
            text += f" The measurements are of {_MEASURED}: that their ratios to S² hold for this problem is untested."
        return text


def is_measured(described: Mapping[str, Any], stated: Mapping[str, Any]) -> bool:
    """Whether options describe a problem to measure, rather than state the heterogeneity and the dimension.

    Raises UserError if they do neither or both.
    """
    if described["data"] is None and described["problem"] is None:
        if described["partition"] is not None:
            raise complain(WHERE, "--partition", described["partition"], "only with --data, which names a data set")
        if stated["heterogeneity"] is None:
            raise complain(WHERE, "--heterogeneity", None, "state it, or name a data set with --data to measure it")
        return False
    for key, value in stated.items():
        if value is not None:
            raise complain(WHERE, f"--{key}", value, "not with --data or --problem, from which it follows")
    return True


def problem_of(
    *, problem: str | None, data: str | None, partition: str | None, subsets: int | None, devices: int
) -> RunSpec:
    """A run of the problem that a user describes, in the form of a study's YAML. Loads no data.

    ``problem`` is a name, or a mapping with options; without it the problem is softmax_regression, or least_squares if
    the labels of ``data`` are real. Raises UserError if it is wrong or if the files of its data set are missing.
    """
    if data is not None and data not in DATA_SETS:
        raise complain(WHERE, "--data", data, f"no such data set; {one_of(DATA_SETS, data)}")
    fields = _named("--problem", problem)
    for key, value in {"data": data, "partition": _partition(partition), "subsets": subsets}.items():
        if value is not None and key in fields:
            raise complain(WHERE, f"--{key}", value, f"--problem states {key} too: give only one of the two")
        if value is not None:
            fields[key] = value
    known = DATA_SETS.get(str(fields.get("data")))
    fields.setdefault("name", "least_squares" if known and not known.classes else "softmax_regression")
    fields.setdefault("subsets", devices)
    spec = RunSpec.parse({**_RUN, "problem": fields}, WHERE)
    for name, known in parts.data_sets_of(spec).items():
        files.require(name, known.files)
    return spec


def measure(spec: RunSpec) -> AtStart:
    """Measure betahat of the problem of a run, seed by seed.

    Raises UserError if the partition of a seed leaves a subset empty.
    """
    first, optimum = [], []
    for seed in spec.seeds:
        problem = PROBLEMS[spec.problem.name]((seed,), "cpu", spec.dtype, **spec.problem.options)
        first.append(Iterate(problem, problem.start()).heterogeneity.item())
        if "optimum" in spec.problem_kind.knows:
            optimum.append(Iterate(problem, cast(Solved, problem).optimum).heterogeneity.item())
    return AtStart(spec, tuple(first), tuple(optimum))


def _partition(given: str | None) -> Any:
    """A partition as an option of a problem: its name, or a mapping with its options."""
    if given is None:
        return None
    value = plain(given, f"{WHERE}: --partition")
    return _ALIASES.get(value, value) if isinstance(value, str) else value


def _named(key: str, given: str | None) -> dict[str, Any]:
    """A name, or a mapping with a name and options, as a mapping."""
    value = {} if given is None else plain(given, f"{WHERE}: {key}")
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        raise complain(WHERE, key, value, "expected a name, or a mapping with a name and options")
    return value


def _option(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(str(each) for pair in value.items() for each in pair if each != "name")
    return str(value)


def _root_mean_square(values: tuple[float, ...]) -> float:
    return math.hypot(*values) / math.sqrt(len(values))
