"""Strict models: they do not convert booleans or strings to numbers, and they refuse unknown keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails

#: A number with an exponent, as JSON and YAML 1.2 write it. YAML 1.1 parsers read ``1e-1`` as a string.
SCIENTIFIC = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+")


class Strict(BaseModel):
    """A frozen model that refuses unknown keys, non-finite numbers, and other types for numbers and booleans."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, values: Any) -> Any:
        """Refuse values that pydantic would convert to a number or a boolean, and replace -0.0 by 0.0."""
        if not isinstance(values, Mapping):
            return values
        faults: list[InitErrorDetails] = []
        plain, kinds, listed = dict(values), *_kinds(cls)
        for key in (key for key in kinds if key in plain):
            if key not in listed or isinstance(plain[key], list | tuple):  # for a list, pydantic refuses all else
                plain[key] = _settled(plain[key], kinds[key], (key,), faults)
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return plain


def _settled(value: Any, kind: type, place: tuple[int | str, ...], faults: list[InitErrorDetails]) -> Any:
    """Normalise the value of a field of numbers or booleans; add each scalar of another type to ``faults``."""
    if isinstance(value, list | tuple):
        return [_settled(each, kind, (*place, number), faults) for number, each in enumerate(value)]
    if kind is not bool and isinstance(value, str) and SCIENTIFIC.fullmatch(value):
        value = float(value)
    mistaken = isinstance(value, bool | str) if kind is not bool else not isinstance(value, bool | None)
    if mistaken:
        faults.append(InitErrorDetails(type=f"{kind.__name__}_type", loc=place, input=value))
    return 0.0 if isinstance(value, float) and value == 0 else value  # -0.0 is the same number


@cache
def _kinds(model: type[BaseModel]) -> tuple[dict[str, type], set[str]]:
    """The fields whose scalars all have one type (int, float or bool), with that type; and which of them are lists."""
    scalars = {name: set(_scalars(field.annotation)) - {type(None)} for name, field in model.model_fields.items()}
    kinds = {name: of.pop() for name, of in scalars.items() if of in ({int}, {float}, {bool})}
    return kinds, {name for name in kinds if get_origin(model.model_fields[name].annotation) in (list, tuple)}


def _scalars(annotation: Any) -> Iterator[Any]:
    """The scalar types in an annotation, without the containers."""
    if get_origin(annotation) is Literal:
        yield from map(type, get_args(annotation))
    elif get_origin(annotation) is Annotated:
        yield from _scalars(get_args(annotation)[0])
    elif inner := get_args(annotation):
        for each in inner:
            yield from _scalars(each)
    elif annotation is not Ellipsis:
        yield annotation
