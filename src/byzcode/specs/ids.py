"""Specs by id. An id has 48 bits, so two specs may share an id; this module detects such collisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from byzcode.errors import UserError, short
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.parsing import Identified
from byzcode.specs.run import RunSpec

S = TypeVar("S", RunSpec, AllocationSpec)


def by_id(specs: Iterable[S], where: object, known: dict[str, S] | None = None) -> dict[str, S]:
    """Add specs to the ``known`` ones, by id, and return them. Raises UserError if two different specs share an id."""
    specs_by_id = {} if known is None else known
    for spec in specs:
        name = spec.run_id if isinstance(spec, RunSpec) else spec.allocation_id
        other = specs_by_id.setdefault(name, spec)
        if other is not spec and other.canonical() != spec.canonical():
            raise UserError(f"{where}: two specs have the id {name}; {_difference(other, spec)}")
    return specs_by_id


def _difference(spec: Identified, other: Identified) -> str:
    first, second = _leaves(spec.model_dump(mode="json")), _leaves(other.model_dump(mode="json"))
    differ = [key for key in first | second if first.get(key) != second.get(key)]
    pairs = (f"{key} ({short(first.get(key), 40)} and {short(second.get(key), 40)})" for key in differ[:3])
    return f"they differ in {', '.join(pairs)}: change one of these values slightly"


def _leaves(value: Any, key: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {key: value}
    inner = [_leaves(each, f"{key}.{name}" if key else str(name)) for name, each in value.items()]
    return {name: each for leaves in inner for name, each in leaves.items()}
