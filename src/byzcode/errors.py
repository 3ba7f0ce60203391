"""Errors that the user can fix: one clear message, no traceback."""

from __future__ import annotations

import difflib
import locale
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


class UserError(Exception):
    """A mistake in the input. The one-line message says where it is, what was given and what is allowed."""

    def __init__(self, message: str) -> None:
        # File names and messages of libraries may contain newlines and control characters: escape them.
        super().__init__(printable(message))


def printable(text: str) -> str:
    """The text with newlines and control characters escaped as in Python."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def in_locale(text: str) -> str:
    """The text for a log in the locale's encoding, with all other characters escaped as in Python."""
    encoding = locale.getencoding()
    return text.encode(encoding, "backslashreplace").decode(encoding)


class KeyedError(Exception):
    """A value that is not allowed: key, value and what is allowed. A caller that knows the file adds it."""

    def __init__(self, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{key} = {shown(value)}: {allowed}")
        self.key, self.value, self.allowed = key, value, allowed


def complain(where: object, key: str, value: object, allowed: str) -> UserError:
    """The error for bad input. Every such message has this form: file, key, value, what is allowed."""
    plain = key.strip() == key and key.isprintable()
    named = short(key if plain and key else repr(key), 200)  # quoted if it is empty or has surrounding blanks
    return UserError(f"{short(where, 200)}: {named} = {shown(value)}: {allowed}")


def shown(value: object) -> str:
    """The ``repr`` of a value, shortened."""
    try:
        return short(repr(value), 80)
    except (RecursionError, ValueError):  # nested too deeply, or an integer with more digits than Python prints
        return f"a {type(value).__name__}"


def short(text: object, most: int) -> str:
    """The text, cut to at most ``most`` characters."""
    words = str(text)
    return words if len(words) <= most else words[: most - 3] + "..."


#: The largest number of names that a message lists; our longest table, that of the rules, is shorter.
_MOST_LISTED = 50


def one_of(names: Iterable[object], got: object = None) -> str:
    """Lists the allowed names, after the closest match to the given name if there is one."""
    listed = [str(name) for name in names]
    near = difflib.get_close_matches(short(got, 100), listed, n=1)
    more = f" and {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""
    return (f"did you mean {near[0]!r}? " if near else "") + "allowed: " + ", ".join(listed[:_MOST_LISTED]) + more


def from_validation(error: ValidationError, where: object, model: type[BaseModel]) -> UserError:
    """The first complaint of a pydantic error, in our form, with the number of the others.

    The message begins with ``where``, which may also be a function of the top-level key.
    """
    key, value, allowed = explained(error, model)
    place = where(re.split(r"[.[]", key)[0]) if callable(where) else where
    message = complain(place, key, value, allowed)
    more = error.error_count() - 1
    return UserError(f"{message} (and {more} more)") if more else message


def explained(error: ValidationError, model: type[BaseModel]) -> tuple[str, object, str]:
    """Key, value and what is allowed, from the first complaint of a pydantic error."""
    # Report unknown keys first: if a key is misspelt, "the right key is missing" would only mislead.
    errors = sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    first = errors[0]
    key = _dotted(first["loc"], _kinds(model, first["loc"])) if first["loc"] else error.title
    value = None if first["type"] == "missing" else first["input"]
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        kind = first["ctx"]
        key, value = f"{key}.{kind['discriminator'].strip(chr(39))}", kind.get("tag")
    return key, value, _allowed(first, model)


def _dotted(location: Sequence[str | int], kinds: Sequence[object]) -> str:
    """``('curves', 2, 'attack', 'sign_flip', 'coefficient')`` as ``curves[2].attack.coefficient``.

    pydantic puts the tag of a union (here ``sign_flip``) into the location. It is not a key of the file, so drop it.
    """
    parts: list[str] = []
    for step, item in enumerate(location):
        if isinstance(item, int) and parts:
            parts[-1] += f"[{item}]"
        elif item != "[key]" and not _is_tag(location, step, kinds):  # pydantic adds "[key]" if the key itself is wrong
            parts.append(str(item))
    return ".".join(parts)


_TAGGED = {
    *("problem", "allocation", "encoding", "compression", "attack", "pre_aggregation", "aggregation", "estimation"),
    "absence",
    "step_schedule",
    "partition",  # an option of a problem that has options of its own
}


def _is_tag(location: Sequence[str | int], step: int, kinds: Sequence[object]) -> bool:
    if step == 2 and location[2] in kinds:  # the location is plots, name of the plot, kind, key
        return True
    return step > 0 and location[step - 1] in _TAGGED and step + 1 < len(location)


def _kinds(model: type[BaseModel], location: Sequence[str | int]) -> list[object]:
    """The tags of a field's union: the kinds of plots or the tests of claims."""
    field = model.model_fields.get(str(location[0])) if location else None
    tags = map(_tag_of, _models_in(field.annotation)) if field else ()
    return [kind for kind in tags if kind is not None]


def _allowed(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "extra_forbidden":
        owner = _model_at(model, error["loc"][:-1])
        return "unknown key; " + one_of(owner.model_fields if owner else (), error["loc"][-1])
    if kind == "union_tag_invalid":
        names = [tag.strip("' ") for tag in str(context["expected_tags"]).split(",")]
        return "unknown name; " + one_of(names, context.get("tag"))
    if kind == "missing":
        named = [str(_tag_of(choice)) for choice in component_models(model, str(error["loc"][-1]))]
        return "this key is required" + ("; " + one_of(named) if named else "")
    if kind == "union_tag_not_found":
        return "this key is required; " + one_of(_kinds(model, error["loc"]))
    if kind == "literal_error":
        return one_of(re.findall(r"'(.*?)'", context["expected"]) or [context["expected"]], error["input"])
    if kind == "value_error":
        return str(context["error"])
    if kind not in _WORDS:
        return str(error["msg"])[:1].lower() + str(error["msg"])[1:]
    return _WORDS[kind].format(**{name: _limit(limit) for name, limit in context.items()}) + _hint(error)


_WHOLE, _NUMBER, _LIST, _MAPPING = (
    "allowed: whole numbers",
    "allowed: numbers",
    "allowed: a list",
    "expected a mapping of keys to values",
)

#: What is allowed, by pydantic's type of error.
_WORDS = {
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "allowed: finite numbers",
    "greater_than": "allowed: greater than {gt}",
    "greater_than_equal": "allowed: at least {ge}",
    "less_than": "allowed: less than {lt}",
    "less_than_equal": "allowed: at most {le}",
    "invalid_key": "allowed: keys that are words",
    "bool_type": "allowed: true or false",
    "bool_parsing": "allowed: true or false",
    "string_type": "allowed: text",
    "string_too_short": "allowed: {min_length} or more characters",
    "string_too_long": "allowed: at most {max_length} characters",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "too_short": "allowed: {min_length} or more entries",
    "too_long": "allowed: at most {max_length} entries",
}


def _limit(limit: Any) -> str:
    return f"{limit:.0f}" if isinstance(limit, float) and limit.is_integer() else str(limit)


def _hint(error: Mapping[str, Any]) -> str:
    """A hint on why YAML read a value of another type than the expected number or text."""
    text = error["type"] == "string_type"
    if not text and _WORDS[error["type"]] not in (_WHOLE, _NUMBER):
        return ""
    if isinstance(error["input"], bool):
        quoted = " unless quoted" if text else ""
        return f"; YAML reads yes, no, on and off as true and false{quoted}"
    if isinstance(error["input"], int | float) and text:
        return ", in quotes"
    if isinstance(error["input"], str) and re.fullmatch(r"[-+]?[0-9.]+", error["input"]):
        return ", without quotes"
    return ""


def _model_at(model: Any, location: Sequence[str | int]) -> type[BaseModel] | None:
    """The pydantic model at the location of a validation error; its fields are the allowed keys."""
    candidates: list[Any] = [model]
    for item in location:
        following: list[Any] = []
        for candidate in candidates:
            if not (isinstance(candidate, type) and issubclass(candidate, BaseModel)):
                continue
            field = candidate.model_fields.get(str(item))
            if field is not None:
                following += component_models(candidate, str(item)) or list(_models_in(field.annotation))
            elif _tag_of(candidate) == item:
                following.append(candidate)
        candidates = following or candidates
    models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
    return models[0] if models else None


def component_models(model: type[BaseModel], key: str) -> list[type[BaseModel]]:
    """The models of a component field, one per name."""
    field = model.model_fields.get(key)
    return [choice for about in (field.metadata if field else ()) for choice in getattr(about, "models", ())]


def _tag_of(model: type[BaseModel]) -> object:
    """The tag of a model in its union: the name of a component, the kind of a plot or the test of a claim."""
    for key in ("test", "kind"):  # a claim has both, and its test is the tag
        if key in model.model_fields:
            return next(iter(get_args(model.model_fields[key].annotation)), None)
    field = model.model_fields.get("name")
    return field.default if field else None


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)
