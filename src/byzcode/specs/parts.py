"""Which code a run names: the entries of its components and of its method, for :mod:`byzcode.provenance.code`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from byzcode.coding import DECODERS
from byzcode.lazy import ENTRY, Table
from byzcode.specs.components import Choice
from byzcode.specs.methods import METHODS
from byzcode.specs.run import AllocationSpec, RunSpec


def of_run(spec: RunSpec) -> list[str]:
    """The entries that a run names, each as ``module:name``."""
    decoder = METHODS[spec.method].decoder
    return [
        f"byzcode.specs.methods:METHODS[{spec.method}]",
        *_components(spec),
        *([_entry(DECODERS, decoder)] if decoder else []),
    ]


def of_allocation(spec: AllocationSpec) -> list[str]:
    """The entry that an allocation names."""
    return list(_components(spec))


def _components(spec: RunSpec | AllocationSpec) -> Iterator[str]:
    for name, field in type(spec).model_fields.items():
        for choice in (each for each in field.metadata if isinstance(each, Choice)):
            yield _entry(choice.table, getattr(spec, name).name)


def _entry(table: Mapping[str, Any], name: str) -> str:
    if isinstance(table, Table):
        return f"{table.module(name)}:{ENTRY}"
    return f"{table[name].__module__}:{table[name].__name__}"
