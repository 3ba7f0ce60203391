"""Names, keys and marks: the words that studies, claims and readings are written with."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Key = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)*$", max_length=100)]

#: Marks that turn the direction of all that follows them, beyond the text in which they stand.
_TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _text(value: str) -> str:
    for sign in value:
        if (unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") and sign != "\n") or sign in _TURNING:
            raise ValueError(f"holds the control character U+{ord(sign):04X}; allowed: letters, signs and spaces")
        if _is_no_character(ord(sign)):
            raise ValueError(f"holds U+{ord(sign):04X}, which is no character; allowed: letters, signs and spaces")
    return value


def _is_no_character(number: int) -> bool:
    """Whether Unicode will never give a number to a character; XML cannot hold two of these."""
    return number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF


def _line(value: str) -> str:
    if "\n" in value or all(unicodedata.category(sign)[0] in "CZ" for sign in value):
        raise ValueError("allowed: one line, and not blank")
    return _text(value)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("allowed: finite numbers")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("allowed: keys that are words")
        _plain([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            _plain(each)
    elif not isinstance(value, int | float | None):
        raise ValueError("allowed: numbers, words, yes and no, and lists and mappings of these")
    return value


#: What people read. Lines end up in legends, titles and lists.
Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]
Label = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_line)]
Filename = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_line)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(_text)]

#: A value of any key: what JSON can hold and an identity be made of.
Value = Annotated[Any, AfterValidator(_plain)]

#: Whence a value comes: the marks of the project's reading of the papers.
Mark = Literal["stated", "inferred", "unknown", "derived"]

#: What is measured in a training.
Quantity = Literal[
    "loss",
    "excess_loss",
    "aggregation_error",
    "honest_dispersion",
    "coding_bias",
    "heterogeneity",
    "largest_heterogeneity",
    "gradient_norm",
    "distance_to_optimum",
]

#: A bound on the error of the aggregate, by its name in ``byzcode.bounds.bounds``.
BoundName = Literal["rule", "device", "pairs", "allocation", "expected"]
