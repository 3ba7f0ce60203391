"""Entries of tables with their options, and other arguments: checked as those of a run, with the same messages."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, TypeVar

from byzcode.errors import complain, component_models, one_of
from byzcode.specs.components import Component
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.parsing import parse
from byzcode.specs.run import RunSpec

T = TypeVar("T")


def entry(table: Mapping[str, T], name: Any, where: str, key: str) -> T:
    """The entry of a name. Raises UserError."""
    if not isinstance(name, str) or name not in table:
        raise complain(where, key, name, one_of(table, name))
    return table[name]


def options(field: str, name: str, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options of a component of a run, complete with their defaults. Raises UserError."""
    model = model_of(field, name)
    known = [option for option in model.model_fields if option != "name"]
    for option in given:
        if option not in known:
            allowed = one_of(known, option) if known else f"{name} has no options"
            raise complain(where, option, given[option], f"unknown key; {allowed}")
    return parse(model, given, where).options


def model_of(field: str, name: str) -> type[Component]:
    """The model of the options of a component."""
    return next(model for model in component_models(RunSpec, field) if model.model_fields["name"].default == name)  # type: ignore[return-value]


def with_options(field: str, given: Any, where: str, key: str) -> tuple[str, dict[str, Any]]:
    """The name and the options of a component, given as in a run: a name, or a mapping of a name and options."""
    values = {"name": given} if isinstance(given, str) else given
    if not isinstance(values, Mapping) or "name" not in values:
        allowed = f"expected a name, or a mapping with a name and options; {one_of(COMPONENTS[field])}"
        raise complain(where, key, given, allowed)
    entry(COMPONENTS[field], values["name"], where, key)
    own = {option: value for option, value in values.items() if option != "name"}
    return values["name"], options(field, values["name"], own, where)


def whole(value: Any, where: str, key: str, least: int, most: int | None = None, why: str = "") -> int:
    """A whole number within limits. Raises UserError."""
    limits = f"allowed: {least} or more" if most is None else f"allowed: {least} to {most}"
    try:
        number = operator.index(value) if not isinstance(value, bool) else least - 1
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        raise complain(where, key, value, limits + (f" ({why})" if why else ""))
    return number


def fits(refused: tuple[str, str] | None, given: Mapping[str, Any], where: str) -> None:
    """Raise UserError if an entry refuses one of its options."""
    if refused is not None:
        raise complain(where, refused[0], given.get(refused[0]), refused[1])
