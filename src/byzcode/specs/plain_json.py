"""Read the JSON of a spec or a request: an object without duplicate keys and without excessive nesting."""

from __future__ import annotations

import json
from typing import Any

from byzcode.errors import complain

#: The deepest nesting. A value of a study has at most 20 levels, and a request adds some levels around it.
MOST_DEEP = 40


def read_json(text: str, where: object) -> dict[str, Any]:
    """Read the object in a text. Raises UserError with one message that begins with ``where``."""
    try:
        parsed = json.loads(text, object_pairs_hook=_each_key_once)
    except (ValueError, RecursionError) as error:
        raise complain(where, "JSON", text, f"not valid JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise complain(where, "JSON", parsed, "expected an object of keys and values")
    level: list[Any] = [parsed]
    for _ in range(MOST_DEEP):
        values = (value for each in level for value in (each.values() if isinstance(each, dict) else each))
        level = [value for value in values if isinstance(value, dict | list)]
    if level:
        raise complain(where, "JSON", text, f"nested more than {MOST_DEEP} deep")
    return parsed


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice")
    return values
