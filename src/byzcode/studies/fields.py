"""The meaning of a value as a field of a run, independent of the other fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache, reduce
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError, create_model

from byzcode.errors import KeyedError, component_models, explained, one_of
from byzcode.provenance.content import canonical
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import method_named
from byzcode.specs.run import RunSpec
from byzcode.specs.strict import Strict
from byzcode.studies.layers import Layer, layered

#: A float represents every whole number exactly only up to this one.
_EXACT = 2**53


def _alone(name: str) -> Any:
    """The type of a field on its own. A field that a run computes if it is left out is optional here too."""
    field = RunSpec.model_fields[name]
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return kind | None if field.default is None else kind


_ALONE: dict[str, Any] = {name: (_alone(name), None) for name in RunSpec.model_fields}
_FIELDS: type[Strict] = create_model("Fields", __base__=Strict, **_ALONE)


def settled(key: str, value: Any) -> Any:
    """The canonical form of a value of a key: ``1e-1`` becomes 0.1, 4.0 becomes 4, ``{name: median}`` becomes median.

    Defaults that a file leaves out stay out. An option, such as ``attack.coefficient``, may belong to any component
    that has it. Raises KeyedError.
    """
    return _as_written(value, meaning(key, value))


def meaning(key: str, value: Any) -> Any:
    """A value of a key of a run, parsed by its type with all defaults. Raises KeyedError."""
    head, *rest = key.split(".")
    if head not in RunSpec.model_fields:
        raise KeyedError(key, value, "unknown key; " + one_of(RunSpec.model_fields, head))
    if head == "method":
        method_named(value)
    faults: list[ValidationError] = []
    for fields in _completed(head, layered([Layer.of("it", {key: value})])):
        try:
            parsed = getattr(_FIELDS.model_validate(fields), head)
        except ValidationError as error:
            faults.append(error)
        else:
            return reduce(getattr, rest, parsed)
    raise KeyedError(*explained(faults[0], _FIELDS))


def tolerated(key: str, value: Any) -> Any:
    """Like :func:`settled`, but returns a value unchanged that its key does not allow."""
    try:
        return settled(key, value)
    except KeyedError:
        return value


def agrees(key: str, value: Any, wanted: Any) -> bool:
    """Whether two canonical values are the same; ``wanted`` may be the name alone of a component with options."""
    if value == wanted:
        return isinstance(value, bool) is isinstance(wanted, bool)
    if not any(isinstance(each, Mapping | list) for each in (value, wanted)):
        return False
    if isinstance(wanted, str):
        return isinstance(value, Mapping) and bool(value.get("name") == wanted)
    return bool(_meaning_of(key, canonical(value)) == _meaning_of(key, canonical(wanted)))


@lru_cache(maxsize=1000)
def _meaning_of(key: str, text: str) -> Any:
    """The meaning of a value given as JSON; the text itself if its key does not allow it."""
    try:
        return meaning(key, json.loads(text))
    except KeyedError:
        return text


def _completed(head: str, fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The fields to try: if an option lacks its component's name, one set for each component that has the option."""
    given = fields.get(head)
    if head not in COMPONENTS or not isinstance(given, Mapping) or "name" in given:
        return [fields]
    models = component_models(RunSpec, head)
    fitting = [model for model in models if given.keys() <= model.model_fields.keys()]
    return [{head: {"name": model.__name__, **given}} for model in fitting or models]


def _as_written(value: Any, parsed: Any) -> Any:
    """The parsed value in the form in which it was written: whole numbers without a point, defaults left out."""
    if isinstance(parsed, BaseModel):
        if not isinstance(value, Mapping):
            return value
        given = [name for name in type(parsed).model_fields if name in value]
        parts = {name: _as_written(value[name], getattr(parsed, name)) for name in given}
        return parts["name"] if parts.keys() == {"name"} else parts
    if isinstance(parsed, tuple):
        return list(map(_as_written, value, parsed)) if isinstance(value, list | tuple) else len(parsed)  # seeds: 3
    return without_point(parsed)


def in_digits(value: float) -> str:
    """A number in as few digits as identify it: 0.2, -5, 1e-05, 0.1234567."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def without_point(value: Any) -> Any:
    """The value, with whole floats as integers: 4.0 becomes 4."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value
