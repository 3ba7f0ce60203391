"""Tables of named functions as validated choices.

A component (an attack, a rule, an allocation ...) is a function; its keyword-only parameters are its options. This
module turns a table of them into a pydantic type: ``median``, ``{name: median}`` or ``{name: krum, neighbours: 3}``
is checked against the signature, defaults are filled in, and the JSON schema follows. So a new component needs its
file and its line in the table, and nothing else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model


class Component(BaseModel):
    """A name in a table and its options."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name: the keyword arguments of the function."""
        return self.model_dump(exclude={"name"})


def choice(table: Mapping[str, Callable[..., Any]], what: str) -> Any:
    """The pydantic type "one of ``table``, with its options"; ``what`` is how errors call it."""
    models = [_model(name, function) for name, function in table.items()]
    union = reduce(or_, models)  # type: ignore[arg-type]
    if len(models) > 1:
        union = Annotated[union, Field(discriminator="name")]
    return Annotated[union, BeforeValidator(_named(what, tuple(table)))]


def _named(what: str, names: tuple[str, ...]) -> Callable[[Any], Any]:
    from byzcode.errors import one_of

    def normalise(value: Any) -> Any:
        if isinstance(value, Component):
            value = value.model_dump()
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping) or "name" not in given:
            raise ValueError(f"expected a name, or a mapping with a name and options; {one_of(names)}")
        if given["name"] not in names:
            raise ValueError(f"unknown {what}; {one_of(names, given['name'])}")
        return given

    return normalise


def _model(name: str, function: Callable[..., Any]) -> type[Component]:
    inner = inspect.unwrap(getattr(function, "function", function))
    options: dict[str, Any] = {
        parameter.name: (parameter.annotation, parameter.default)
        for parameter in inspect.signature(inner).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    summary = (inspect.getdoc(inner) or name).splitlines()[0]
    return create_model(
        name,
        __base__=Component,
        __module__=inner.__module__,  # annotations are strings there: resolved in that module
        __doc__=summary,
        name=(Literal[name], name),
        **options,
    )
