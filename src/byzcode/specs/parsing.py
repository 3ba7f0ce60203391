"""Make specifications from mappings and JSON texts, and give them an identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from byzcode.errors import KeyedError, complain, from_validation
from byzcode.provenance.content import canonical
from byzcode.specs.plain_json import read_json
from byzcode.specs.strict import Strict

T = TypeVar("T", bound=BaseModel)


class Identified(Strict):
    """A model with an identity: the hash of its canonical JSON."""

    def canonical(self) -> str:
        """The content as JSON with sorted keys."""
        return canonical(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: object) -> Self:
        """Validate a mapping. Raises UserError with one message that begins with ``where``."""
        return parse(cls, values, where)

    @classmethod
    def from_json(cls, text: str, where: object) -> Self:
        """Parse and validate a JSON text. Raises UserError."""
        return cls.parse(read_json(text, where), where)


def parse(model: type[T], values: Mapping[str, Any], where: object) -> T:
    """Validate a mapping. Raises UserError with one message that begins with ``where``, for any order of the keys."""
    for order in (dict, in_order):
        try:
            return model.model_validate(order(values))
        except ValidationError as error:
            refusal = from_validation(error, where, model)
        except KeyedError as error:
            refusal = complain(where, error.key, error.value, error.allowed)
    raise refusal


def in_order(value: Any) -> Any:
    """A value with the keys of all its mappings sorted."""
    if isinstance(value, Mapping):
        return {key: in_order(value[key]) for key in sorted(value, key=str)}
    return [in_order(each) for each in value] if isinstance(value, list) else value
