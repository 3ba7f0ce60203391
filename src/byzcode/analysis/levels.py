"""The level of each seed of a run: at its plateau, over the last fifth, or at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.analysis.plateau import ROUNDING, plateau
from byzcode.specs.run import RunSpec
from byzcode.studies.claim import COSTS, When
from byzcode.training.records import Measurements, gradients_per_iteration
from byzcode.training.status import Status, ran_away

if TYPE_CHECKING:
    import xarray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Levels(NamedTuple):
    """Per seed, (R,): the level, and what is known of where it goes.

    ``settled``: it is a plateau. ``falling`` or ``rising``: it is none, so the level is a bound of the plateau from
    above or from below. A seed that ``diverged``, overflowed and poisoned ones among them, counts as settled at
    ``diverged_at`` times where it began: a finite number that stands for none, good for order alone. A plateau that is
    only rounding is as high as rounding may be: of two such none is lower. What the run does not measure is neither
    settled nor a bound; of an undefined run that is everything, at the start too.
    """

    level: Array
    settled: Mask
    falling: Mask
    rising: Mask
    diverged: Mask


@dataclass(frozen=True)
class Run:
    """What claims ask of a run: recorded quantities and cumulative costs, (R, n), and the status of seeds, (R,)."""

    spec: RunSpec
    values: Mapping[str, Array]
    status: NDArray[np.integer]

    def levels(self, quantity: str, at: When) -> Levels:
        """The level of a quantity."""
        values = np.where((self.status == Status.UNDEFINED)[:, None], np.nan, self.values[quantity])
        diverged = ran_away(self.status)
        nothing = np.zeros(len(values), dtype=bool)
        if quantity in COSTS:
            level = self._cost(values)
            return Levels(level, np.isfinite(level), nothing, nothing, nothing)
        first = values[:, 0]
        if at == "start":
            return Levels(first, np.isfinite(first), nothing, nothing, nothing)
        found = plateau(values, self._recorded)
        level = np.where(diverged, self.spec.diverged_at * first, np.maximum(found.level, ROUNDING * first))
        known = np.isfinite(level)
        settled = known & (found.reached | diverged | (at == "end"))
        moving = known & ~settled
        return Levels(level, settled, moving & (found.drift < 0), moving & (found.drift >= 0), known & diverged)

    def _cost(self, total: Array) -> Array:
        """An iteration's part of a cumulative cost, (R,); NaN of a seed that ended before it could be seen."""
        last = np.isfinite(total).sum(axis=1) - 1  # nothing is counted after the end
        recorded = np.maximum(self._recorded, 1)
        found: Array = np.where(last > 0, total[np.arange(len(total)), last] / recorded[last], np.nan)
        return found

    @property
    def _recorded(self) -> NDArray[np.int64]:
        return np.asarray(self.spec.record.iterations(self.spec.iterations))


def of_dataset(dataset: xarray.Dataset) -> Run:
    """The run of a trajectory file."""
    spec = RunSpec.from_json(dataset.attrs["spec"], dataset.attrs["run_id"])
    values = {str(name): found.to_numpy() for name, found in dataset.data_vars.items() if found.ndim == 2}
    return Run(spec, values, dataset["status"].to_numpy())


def of_measurements(spec: RunSpec, measured: Measurements, held: NDArray[np.int32]) -> Run:
    """A run that has just been trained on the allocations ``held`` (R, N, S)."""
    values = {name: found for name, found in measured.arrays().items() if found.ndim == 2}
    iterations = np.asarray(spec.record.iterations(spec.iterations), dtype=float)
    values["gradients_computed"] = gradients_per_iteration(held)[:, None] * iterations
    return Run(spec, values, measured.status)
