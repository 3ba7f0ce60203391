"""Pydantic types for tables of named functions.

A component (an attack, a rule, an allocation ...) is a function; its keyword-only parameters are its options. This
module turns a table of components into a pydantic type. The type accepts ``median``, ``{name: median}`` or
``{name: krum, neighbours: 3}``, checks it against the signature, fills in the defaults, and has a JSON schema. So a
new component needs only its file and its line in the table (:class:`byzcode.lazy.Table`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, create_model
from pydantic_core import CoreSchema

from byzcode.errors import one_of
from byzcode.specs.strict import Strict


class Component(Strict):
    """The name of a table entry, and its options."""

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """All fields except the name: the keyword arguments of the function."""
        return self.model_dump(exclude={"name"})


class Choice:
    """Metadata for ``Annotated[Component, Choice(table, what)]``: an entry of a table, with its options."""

    def __init__(self, table: Mapping[str, Callable[..., Any]], kind: str) -> None:
        self.models = [_model(name, function) for name, function in table.items()]
        self.table, self._names, self._kind = table, tuple(table), kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A union discriminated by ``name``; a plain string is taken as the name."""
        union: Any = reduce(or_, self.models)
        if len(self.models) > 1:
            union = Annotated[union, Field(discriminator="name")]
        return handler.generate_schema(
            Annotated[union, BeforeValidator(self._named, json_schema_input_type=union | str)]
        )

    def _named(self, value: Any) -> Any:
        if isinstance(value, Component):
            value = value.model_dump()
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping) or "name" not in given:
            raise ValueError(f"expected a name, or a mapping with a name and options; {one_of(self._names)}")
        if given["name"] not in self._names:
            raise ValueError(f"unknown {self._kind}; {one_of(self._names, given['name'])}")
        return given


def in_words(name: str, entry: Any) -> str:
    """The title of an entry, or its name with spaces."""
    return getattr(entry, "title", "") or name.replace("_", " ")


def _model(name: str, function: Callable[..., Any]) -> type[Component]:
    inner = inspect.unwrap(getattr(function, "function", function))
    options: dict[str, Any] = {
        parameter.name: (parameter.annotation, parameter.default)
        for parameter in inspect.signature(inner).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    summary = (inspect.getdoc(inner) or name).splitlines()[0]
    options["name"] = (Literal[name], name)
    model: type[Component] = create_model(
        name,
        __base__=Component,
        __module__=inner.__module__,  # pydantic resolves the string annotations in that module
        __doc__=summary,
        **options,
    )
    return model
