"""The type of an option that names a partition, with the partition's own options.

The types of a run are in :mod:`byzcode.specs`, which problems must not import. This one is for their options.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, GetCoreSchemaHandler, Tag, create_model
from pydantic_core import CoreSchema

from byzcode.data.partition import Partition
from byzcode.errors import one_of

_PLAIN = "name"


class Named(BaseModel):
    """The name of a partition that has options, and these options."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    name: str


class PartitionChoice:
    """Metadata for ``Annotated[..., PartitionChoice(table)]``: a partition of a table, with its options.

    It takes ``by_label``, ``{name: dirichlet, a: 0.1}``, or ``{a: 0.1}`` if only one partition has these options. The
    value of a partition without options is its name, as in the first runs; that of another has all its options.
    """

    def __init__(self, table: Mapping[str, Partition]) -> None:
        self.table = table
        models = {name: option_model(name, entry) for name, entry in table.items()}
        self.models = [model for model in models.values() if len(model.model_fields) > 1]
        self._plain = tuple(name for name, model in models.items() if model not in self.models)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A union of names and models. Its discriminator sees what :meth:`_named` returns."""
        names: Any = Literal[self._plain]
        kinds: list[Any] = [Annotated[names, Tag(_PLAIN)]] if self._plain else []
        kinds += [Annotated[model, Tag(model.__name__)] for model in self.models]
        union = Annotated[reduce(or_, kinds), Discriminator(_tag)] if len(kinds) > 1 else kinds[0]
        names = Literal[tuple(self.table)]
        return handler.generate_schema(
            Annotated[union, BeforeValidator(self._named, json_schema_input_type=union | names)]
        )

    def _named(self, value: Any) -> Any:
        """The value as the name of a partition without options, or as a mapping with the name of one with options."""
        if isinstance(value, Named):
            return value
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping):
            raise ValueError(f"expected a name, or a mapping with a name and options; {one_of(self.table)}")
        if "name" not in given:
            fitting = [model for model in self.models if given and given.keys() <= model.model_fields.keys()]
            if len(fitting) != 1:
                raise ValueError(f"expected a name, or a mapping with a name and options; {one_of(self.table)}")
            given = {"name": fitting[0].__name__, **given}
        name = given["name"]
        if name not in self.table:
            raise ValueError(f"unknown partition; {one_of(self.table, name)}")
        if name not in self._plain:
            return {key: 0.0 if isinstance(each, float) and each == 0 else each for key, each in given.items()}
        if len(given) > 1:
            raise ValueError(f"unknown key; {name} has no options")
        return name


def chosen(value: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of a partition and its options, from the value of an option."""
    if isinstance(value, str):
        return value, {}
    options = dict(value)
    return options.pop("name"), options


def _tag(value: Any) -> str:
    if isinstance(value, Named):
        return value.name
    return str(value["name"]) if isinstance(value, Mapping) else _PLAIN


def option_model(name: str, entry: Partition) -> type[Named]:
    """The model of a partition's options; its docstring is the first line of that of the partition."""
    function = inspect.unwrap(entry.function)
    options: dict[str, Any] = {
        parameter.name: (parameter.annotation, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    model: type[Named] = create_model(
        name,
        __base__=Named,
        __module__=function.__module__,  # pydantic resolves the string annotations in that module
        __doc__=(inspect.getdoc(function) or name).splitlines()[0],
        **options | {"name": (Literal[name], name)},
    )
    return model
