"""What a value of a file means as one field of a run, whatever run it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache, reduce
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError, create_model

from byzcode.errors import KeyedError, component_models, explained, one_of
from byzcode.provenance.content import canonical
from byzcode.specs.run import COMPONENTS, RunSpec, method_named
from byzcode.specs.strict import Strict
from byzcode.studies.layers import Layer, layered

#: Whole numbers above are shown as they are: a float holds no more.
_EXACT = 2**53


def _alone(name: str) -> Any:
    """The type of a field by itself. What a run works out when it is left out may be left out here too."""
    field = RunSpec.model_fields[name]
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return kind | None if field.default is None else kind


_ALONE: dict[str, Any] = {name: (_alone(name), None) for name in RunSpec.model_fields}
_FIELDS: type[Strict] = create_model("Fields", __base__=Strict, **_ALONE)


def settled(key: str, value: Any) -> Any:
    """A value of a key of a run, written in one way: ``1e-1`` as 0.1, 4.0 as 4, ``{name: median}`` as median.

    Defaults that a file leaves out are left out. An option, such as ``attack.coefficient``, may be that of any
    component that has it. Raises KeyedError.
    """
    return _as_written(value, meaning(key, value))


def meaning(key: str, value: Any) -> Any:
    """A value of a key of a run as its type makes it, with all defaults. Raises KeyedError."""
    head, *rest = key.split(".")
    if head not in RunSpec.model_fields:
        raise KeyedError(key, value, "unknown key; " + one_of(RunSpec.model_fields, head))
    if head == "method":
        method_named(value)
    faults: list[ValidationError] = []
    for fields in _completed(head, layered([Layer.of("it", {key: value})])):
        try:
            found = getattr(_FIELDS.model_validate(fields), head)
        except ValidationError as error:
            faults.append(error)
        else:
            return reduce(getattr, rest, found)
    raise KeyedError(*explained(faults[0], _FIELDS))


def tolerated(key: str, value: Any) -> Any:
    """The same, and the value as it stands where it is none of the key."""
    try:
        return settled(key, value)
    except KeyedError:
        return value


def agrees(key: str, value: Any, wanted: Any) -> bool:
    """Whether a settled value of a grid is the wanted one, also settled; a component may go by its name alone."""
    if value == wanted:
        return isinstance(value, bool) is isinstance(wanted, bool)
    if not any(isinstance(each, Mapping | list) for each in (value, wanted)):
        return False
    if isinstance(wanted, str):
        return isinstance(value, Mapping) and bool(value.get("name") == wanted)
    return bool(_meaning_of(key, canonical(value)) == _meaning_of(key, canonical(wanted)))


@lru_cache(maxsize=1000)
def _meaning_of(key: str, text: str) -> Any:
    """The meaning of a value that is given as JSON; the text itself where it is none of the key."""
    try:
        return meaning(key, json.loads(text))
    except KeyedError:
        return text


def _completed(head: str, fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The fields, an option alone with the name of each component that has it."""
    given = fields.get(head)
    if head not in COMPONENTS or not isinstance(given, Mapping) or "name" in given:
        return [fields]
    models = component_models(RunSpec, head)
    fitting = [model for model in models if given.keys() <= model.model_fields.keys()]
    return [{head: {"name": model.__name__, **given}} for model in fitting or models]


def _as_written(value: Any, found: Any) -> Any:
    """What was found, in the form of what was written: whole numbers without a point, defaults left out."""
    if isinstance(found, BaseModel):
        if not isinstance(value, Mapping):
            return value
        given = [name for name in type(found).model_fields if name in value]
        parts = {name: _as_written(value[name], getattr(found, name)) for name in given}
        return parts["name"] if parts.keys() == {"name"} else parts
    if isinstance(found, tuple):
        return list(map(_as_written, value, found)) if isinstance(value, list | tuple) else len(found)  # seeds: 3
    return without_point(found)


def in_digits(value: float) -> str:
    """A number in as few digits as tell it from every other: 0.2, -5, 1e-05, 0.1234567."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def without_point(value: Any) -> Any:
    """A value of which a whole number has no point: 4.0 is 4."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value
