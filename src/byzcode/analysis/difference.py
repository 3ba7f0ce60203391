"""How two stored runs differ: in what they were asked, in what made them, and in each recorded quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.analysis.spread import spread
from byzcode.provenance.code import changed
from byzcode.specs.quantities import is_share
from byzcode.specs.run import RunSpec
from byzcode.storage.netcdf import Stored
from byzcode.storage.trajectories import parts_in

#: The attributes of a trajectory that say what made it, and on which its bits depend.
_MADE_BY = (
    *("byzcode_version", "engine_digest", "device", "cpu_capability", "mkl_cbwr", "aten_cpu_capability"),
    *("torch_version", "numpy_version", "python_version", "platform"),
)


class Change(NamedTuple):
    """A key whose values differ; None where a run has no such key."""

    key: str
    left: Any
    right: Any


class Level(NamedTuple):
    """A quantity at the last recorded iteration: median and quartiles over seeds. One that ended is the worst."""

    iteration: int
    median: float
    low: float
    high: float


class Largest(NamedTuple):
    """The largest difference, and where it is."""

    value: float
    seed: int
    iteration: int


@dataclass(frozen=True)
class Compared:
    """A quantity of two runs. Differences are paired by seed and iteration; None if no pair has two numbers.

    The relative difference is |a - b| / max(|a|, |b|). ``pairs`` counts the pairs with two numbers, ``alone`` those
    with one, because a seed ended in one run only.
    """

    name: str
    left: Level
    right: Level
    absolute: Largest | None
    relative: Largest | None
    pairs: int
    alone: int


@dataclass(frozen=True)
class Difference:
    """All differences of two runs. ``seeds`` and ``iterations`` are those that both have."""

    spec: list[Change]
    made_by: list[Change]
    sources: list[str]
    seeds: list[int]
    iterations: int
    quantities: list[Compared]
    only_left: list[str]
    only_right: list[str]
    identical: bool


def difference(left: Stored[RunSpec], right: Stored[RunSpec]) -> Difference:
    """Compare two runs. Cost: linear in the recorded numbers."""
    seeds, *seed_places = np.intersect1d(left.arrays["seed"], right.arrays["seed"], return_indices=True)
    times, *time_places = np.intersect1d(left.arrays["iteration"], right.arrays["iteration"], return_indices=True)
    mine, theirs = _recorded(left), _recorded(right)

    def compared(name: str) -> Compared:
        first, second = (
            array[name][np.ix_(seed_places[side], time_places[side])] for side, array in enumerate((mine, theirs))
        )
        return Compared(name, _level(left, name), _level(right, name), *_largest(first, second, seeds, times))

    return Difference(
        spec=list(changes(_flat(left.spec.model_dump(mode="json")), _flat(right.spec.model_dump(mode="json")))),
        made_by=list(changes(_made_by(left), _made_by(right))),
        sources=changed(parts_in(left.attributes), parts_in(right.attributes)) if left.spec == right.spec else [],
        seeds=seeds.tolist(),
        iterations=len(times),
        quantities=[compared(name) for name in mine if name in theirs],
        only_left=[name for name in mine if name not in theirs],
        only_right=[name for name in theirs if name not in mine],
        identical=_identical(left.arrays, right.arrays),
    )


def changes(left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[Change]:
    """The keys whose values differ, those of ``left`` first."""
    for key in dict.fromkeys((*left, *right)):
        if left.get(key) != right.get(key):
            yield Change(key, left.get(key), right.get(key))


def _flat(values: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    """Nested mappings with dotted keys; the name of a component has the key of the component."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        place = inside.removesuffix(".") if key == "name" and inside else f"{inside}{key}"
        flat |= _flat(value, f"{place}.") if isinstance(value, Mapping) else {place: value}
    return flat


def _made_by(run: Stored[RunSpec]) -> dict[str, str]:
    return {key: str(run.attributes.get(key, "")) for key in _MADE_BY}


def _identical(left: Mapping[str, NDArray[Any]], right: Mapping[str, NDArray[Any]]) -> bool:
    """Whether all numbers are the same; NaN is the same as NaN."""
    return left.keys() == right.keys() and all(
        np.array_equal(array, right[name], equal_nan=array.dtype.kind == "f") for name, array in left.items()
    )


def _recorded(run: Stored[RunSpec]) -> dict[str, NDArray[np.float64]]:
    """The quantities recorded at each iteration, (seeds, iterations)."""
    both = ("seed", "iteration")
    return {name: run.arrays[name] for name, about in run.variables.items() if about.dimensions == both}


def _level(run: Stored[RunSpec], name: str) -> Level:
    last = spread(run.arrays[name][:, -1], more_is_better=is_share(name))
    return Level(int(run.arrays["iteration"][-1]), float(last.median), float(last.low), float(last.high))


def _largest(
    left: NDArray[np.float64], right: NDArray[np.float64], seeds: NDArray[np.int64], times: NDArray[np.int64]
) -> tuple[Largest | None, Largest | None, int, int]:
    """The largest absolute and relative differences, and the numbers of pairs with two numbers and with one."""
    there, here = np.isfinite(left), np.isfinite(right)
    both = there & here
    if not both.any():
        return None, None, 0, int((there ^ here).sum())
    apart = np.where(both, np.abs(left - right), -np.inf)
    size = np.maximum(np.abs(left), np.abs(right))
    with np.errstate(invalid="ignore"):
        share = np.where(both & (size > 0), apart / size, np.where(both, 0.0, -np.inf))

    def largest(values: NDArray[np.float64]) -> Largest:
        seed, time = np.unravel_index(np.argmax(values), values.shape)
        return Largest(float(values[seed, time]), int(seeds[seed]), int(times[time]))

    return largest(apart), largest(share), int(both.sum()), int((there ^ here).sum())
