"""Types of the names, keys, texts and marks in studies, claims and readings."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from byzcode.errors import one_of
from byzcode.specs.quantities import ESTIMATE, QUANTITIES, metrics


class Spelt:
    """``Annotated[str, Spelt(pattern, words)]``: text that matches a pattern; error messages describe it in words."""

    def __init__(self, pattern: str, allowed: str) -> None:
        self._pattern, self._allowed = pattern, allowed

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self._pattern}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self._pattern, value):
            raise ValueError(f"allowed: {self._allowed}")
        return value


class OneOrMore:
    """``Annotated[str | list[str], OneOrMore(*names)]``: one of some names, or a list of several, each once."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        name = {"enum": list(self._names), "type": "string"}
        return {"anyOf": [name, {"items": name, "minItems": 2, "type": "array", "uniqueItems": True}]}

    def _check(self, value: Any) -> Any:
        for each in value if isinstance(value, list) else [value]:
            if each not in self._names:
                raise ValueError(one_of(self._names, each))
        if isinstance(value, list) and (len(value) < 2 or len(set(value)) < len(value)):
            raise ValueError("allowed: a name, or a list of two or more, each once")
        return value


Name = Annotated[
    str,
    Field(max_length=60),
    Spelt(r"^[a-z0-9]+(-[a-z0-9]+)*$", "small letters and digits, with single hyphens between them"),
]
Key = Annotated[
    str,
    Field(max_length=100),
    Spelt(r"^[a-z_]+(\.[a-z_]+)*$", "a key of a run, of small letters and _, with dots between its parts"),
]

#: Bidirectional control characters, which could change the direction of text beyond their own.
_TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _text(value: str) -> str:
    for sign in value:
        if (unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") and sign != "\n") or sign in _TURNING:
            raise ValueError(f"contains the control character U+{ord(sign):04X}; allowed: letters, signs and spaces")
        if _is_no_character(ord(sign)):
            raise ValueError(
                f"contains U+{ord(sign):04X}, which is not a character; allowed: letters, signs and spaces"
            )
    return value


def _is_no_character(number: int) -> bool:
    """Whether a code point is a Unicode noncharacter; XML cannot contain U+FFFE and U+FFFF."""
    return number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF


def _line(value: str) -> str:
    if "\n" in value or all(unicodedata.category(sign)[0] in "CZ" for sign in value):
        raise ValueError("allowed: one line that is not blank")
    return _text(value)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("allowed: finite numbers")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("allowed: whole numbers of at most 64 bits")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("allowed: keys that are words")
        _plain([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            _plain(each)
    elif not isinstance(value, int | float | None):
        raise ValueError("allowed: numbers, words, true and false, and lists and mappings of these")
    return value


#: Texts for people. Lines appear in legends, titles and lists.
Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]
Label = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_line)]
Filename = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_line)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(_text)]

#: A value of any key: anything that JSON can hold and that can be hashed into a run id.
Value = Annotated[Any, AfterValidator(_plain)]

#: The origin of a value in the project's reading of the papers.
Mark = Literal["stated", "inferred", "unknown", "derived"]

#: The quantities measured during training: those of any problem, and the metrics of single ones.
if TYPE_CHECKING:
    Quantity: TypeAlias = str
else:
    Quantity = Literal[(*QUANTITIES, ESTIMATE, *metrics())]

#: One quantity, or a list of several.
Quantities = Annotated[str | list[str], OneOrMore(*QUANTITIES, ESTIMATE, *metrics())]

#: A bound on the error of the aggregate, by its name in ``byzcode.theory.bounds.bounds``.
BoundName = Literal["rule", "device", "pairs", "allocation", "expected"]
