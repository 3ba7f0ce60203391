"""What a device pays in an iteration, and how long the server waits."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from byzcode.allocation import ALLOCATIONS, EMPTY
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.quantities import WALL_TIME
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations
from byzcode.theory.waiting import last_of

if TYPE_CHECKING:
    import xarray


def costs_of(spec: RunSpec, dataset: xarray.Dataset) -> dict[str, float]:
    """What a device pays per iteration, by the name of the cost, and the time, from the records of a run.

    ``computation`` is the share of all data whose gradient it computes, ``storage`` the share that it must hold: all
    of it if the assignment is redrawn. ``bits`` are those that it sends. ``time`` is how long the server waits, in
    units of the least time in which a device computes the gradient of all data: as recorded if the run has an absence,
    else :func:`expected_wait`.
    """
    gradients, bits = (_per_iteration(dataset, name) for name in ("gradients_computed", "bits_sent"))
    held = spec.redundancy if spec.assignment == "fixed" else spec.subsets
    waited = recorded_wait(dataset) if spec.timed else expected_wait(spec.allocation_spec.canonical(), spec.honest)
    return {
        "computation": gradients / spec.devices / spec.subsets,
        "bits": bits / spec.devices,
        "storage": held / spec.subsets,
        "time": waited / spec.subsets,
    }


def _per_iteration(dataset: xarray.Dataset, cost: str) -> float:
    """What all devices pay per iteration, over the iterations before a seed ended."""
    total, iterations = dataset[cost].to_numpy()[:, 1:], dataset["iteration"].to_numpy()[1:]
    return float(np.fmax.reduce((total / iterations).ravel(), initial=0.0))


def recorded_wait(dataset: xarray.Dataset) -> float:
    """The recorded time per iteration, over the iterations of all seeds before they ended; 0 if there is none."""
    total = dataset[WALL_TIME].to_numpy()
    lasted = np.where(np.isfinite(total), dataset["iteration"].to_numpy(), 0).max(axis=-1)
    return float(np.nanmax(total, axis=-1, initial=0.0).sum() / max(1, lasted.sum()))


@cache
def expected_wait(allocation: str, honest: int) -> float:
    """How long a server waits in expectation for the last of the honest messages, as a run with delays would record.

    ``allocation`` is the canonical JSON of an AllocationSpec. Byzantine devices answer at once. If each device computes
    r gradients, the wait is r (1 + H_n) for n honest devices. Else it is the exact expectation over delays and over
    which devices lie, as if these were drawn at random (an approximation where they are chosen), averaged over seeds.
    """
    spec = AllocationSpec.from_json(allocation, "allocation")
    if ALLOCATIONS[spec.allocation.name].exact(**spec.allocation.options):
        return last_of(np.full(spec.devices, spec.redundancy), honest)
    loads = (allocations.draw(spec) != EMPTY).sum(axis=-1)
    return float(np.mean([last_of(each, honest) for each in loads]))
