"""The level of each seed of a run: at its plateau, over the last fifth of its iterations, or at the start."""

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
    from byzcode.storage.netcdf import Stored

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Levels(NamedTuple):
    """The level of each seed, (R,), and whether the seed has settled.

    ``settled``: the seed is at a plateau. ``falling`` or ``rising``: it is not, so its level is an upper or a lower
    bound of the plateau. ``diverged``: the seed diverged, overflowed or was poisoned; it counts as settled at
    ``diverged_at`` times its first value, a finite number that is meaningful only for ordering. A plateau of rounding
    errors gets the largest level that rounding errors can have, so neither of two such plateaus is lower. A
    quantity that a run does not measure is neither settled nor a bound. An undefined run measures nothing, not even at
    the start.
    """

    level: Array
    settled: Mask
    falling: Mask
    rising: Mask
    diverged: Mask


@dataclass(frozen=True)
class Run:
    """A run as claims need it: recorded quantities and cumulative costs, (R, n), and the status of seeds, (R,)."""

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
        fitted = plateau(values, self._recorded)
        level = np.where(diverged, self.spec.diverged_at * first, np.maximum(fitted.level, ROUNDING * first))
        known = np.isfinite(level)
        settled = known & (fitted.reached | diverged | (at == "end"))
        moving = known & ~settled
        return Levels(level, settled, moving & (fitted.drift < 0), moving & (fitted.drift >= 0), known & diverged)

    def _cost(self, total: Array) -> Array:
        """The cost per iteration, (R,), from a cumulative cost; NaN for a seed that ended before the first record."""
        last = np.isfinite(total).sum(axis=1) - 1  # costs are not recorded after a seed has ended
        recorded = np.maximum(self._recorded, 1)
        cost: Array = np.where(last > 0, total[np.arange(len(total)), last] / recorded[last], np.nan)
        return cost

    @property
    def _recorded(self) -> NDArray[np.int64]:
        return np.asarray(self.spec.record.iterations(self.spec.iterations))


def of_stored(stored: Stored[RunSpec]) -> Run:
    """The run of a trajectory file."""
    values = {name: array for name, array in stored.arrays.items() if array.ndim == 2}
    return Run(stored.spec, values, stored.arrays["status"])


def of_measurements(spec: RunSpec, measured: Measurements, assigned: NDArray[np.int32]) -> Run:
    """A run that has just been trained on the allocations ``assigned`` (R, N, S)."""
    values = {name: array for name, array in measured.arrays().items() if array.ndim == 2}
    iterations = np.asarray(spec.record.iterations(spec.iterations), dtype=float)
    values["gradients_computed"] = gradients_per_iteration(assigned)[:, None] * iterations
    return Run(spec, values, measured.status)
