"""AllocationSpec: everything that determines which device holds which subsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from byzcode.allocation import ALLOCATIONS
from byzcode.errors import KeyedError
from byzcode.provenance.content import short_hash
from byzcode.specs.components import Choice, Component
from byzcode.specs.parsing import Identified
from byzcode.specs.settings import MOST_DEVICES, MOST_NUMBERS, Seeds

if TYPE_CHECKING:
    from byzcode.specs.run import RunSpec

Allocation = Annotated[Component, Choice(ALLOCATIONS, "allocation")]


class AllocationSpec(Identified):
    """The content of an allocation file. All runs with the same allocation have the same AllocationSpec."""

    allocation: Allocation
    devices: Annotated[int, Field(ge=1, le=MOST_DEVICES)]
    subsets: Annotated[int, Field(ge=1)]
    redundancy: Annotated[int, Field(ge=1)]
    seeds: Seeds

    @property
    def allocation_id(self) -> str:
        """The identity of the allocation, computed like :attr:`RunSpec.run_id`."""
        return short_hash(self.canonical())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_held(self, "subsets")
        return self


def check_held(spec: RunSpec | AllocationSpec, key: str) -> None:
    """Raise KeyedError if no allocation satisfies a spec. ``key`` is the key of the number of subsets."""
    devices, subsets, redundancy = spec.devices, spec.subsets, spec.redundancy
    if redundancy > subsets:
        raise KeyedError("redundancy", redundancy, f"allowed: 1 to {subsets} (the number of subsets, M)")
    check_sizes(
        spec,
        {
            "redundancy": ("seeds N r, the subsets of each device", devices * redundancy),
            "seeds": ("seeds N (N - 1) / 2, the pairs of devices", devices * (devices - 1) // 2),
            key: ("seeds M, the replication of each subset", subsets),
        },
    )
    if devices * subsets > MOST_NUMBERS:
        description = f"N M, whether a device holds a subset: {devices * subsets} numbers"
        raise KeyedError(key, subsets, f"{description}; allowed: at most {MOST_NUMBERS}")
    reason = ALLOCATIONS[spec.allocation.name].refuses(devices, subsets, redundancy)
    if reason is not None:
        raise KeyedError("redundancy", redundancy, f"{reason}; with allocation {spec.allocation.name}")
    if len(set(spec.seeds)) < len(spec.seeds):
        raise KeyedError("seeds", list(spec.seeds), "each seed once")


def check_sizes(spec: RunSpec | AllocationSpec, arrays: Mapping[str, tuple[str, int]]) -> None:
    """Raise KeyedError if an array is too large. ``arrays`` maps a key to (description, numbers per seed)."""
    seeds = len(spec.seeds)
    for key, (description, numbers) in arrays.items():
        if seeds * numbers > MOST_NUMBERS:
            given = getattr(spec, key.rpartition(".")[2])
            given = given.options if isinstance(given, Component) else seeds if key == "seeds" else given
            raise KeyedError(key, given, f"{description}: {seeds * numbers} numbers; allowed: at most {MOST_NUMBERS}")
