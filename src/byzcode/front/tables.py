"""The tables of this process: put parts into them, let runs name these, and take them out again."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any, Literal, TypeVar, get_args

from pydantic import PydanticUserError

from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS
from byzcode.compression import COMPRESSORS
from byzcode.data import DATA_SETS
from byzcode.errors import UserError
from byzcode.front.identity import parts_of
from byzcode.lazy import ENTRY, Table
from byzcode.problems import PROBLEMS
from byzcode.provenance import registered
from byzcode.specs.components import Choice, Component, _model
from byzcode.specs.run import RunSpec
from byzcode.studies.fields import _FIELDS as _FIELDS_ALONE
from byzcode.studies.fields import _meaning_of
from byzcode.studies.layers import MODELS

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")

#: The field of a run that names a part of a table; data sets are named by an option of a problem.
_FIELDS: Mapping[str, Table[Any]] = {
    "aggregation": RULES,
    "attack": ATTACKS,
    "compression": COMPRESSORS,
    "problem": PROBLEMS,
}
_KINDS: Mapping[str, Table[Any]] = {
    "attack": ATTACKS,
    "rule": RULES,
    "compressor": COMPRESSORS,
    "problem": PROBLEMS,
    "data": DATA_SETS,
}


def registering(
    kind: str,
    function: Any,
    name: str | None,
    positional: Sequence[str],
    make: Callable[[Callable[..., Any], str], tuple[Any, dict[str, Any]]],
) -> Any:
    """Register a function, or return the decorator that does so. The function itself is returned unchanged."""

    def register(function: F) -> F:
        where = f"register.{kind}"
        if not isinstance(function, FunctionType):
            raise UserError(f"{where}: {function!r} is a {type(function).__name__}; allowed: a function with a source")
        own = name or function.__name__
        table = _KINDS[kind]
        if not _NAME.fullmatch(own):
            allowed = "allowed: small letters, digits and _, a letter first; name= gives another"
            raise UserError(f"{where}: name = {own!r}: {allowed}")
        if own in table and own not in table.added:
            raise UserError(f"{where}: name = {own!r}: byzcode has a {kind} of this name; name= gives another")
        _check_signature(function, f"{where} {own}", positional)
        parts = partial(parts_of, {"function": function}, f"registered {kind} {own}")
        parts()  # what has no source is refused before anything is computed
        entry, uses = make(function, own)
        whole = partial(parts_of, {"function": function, **uses}, f"registered {kind} {own}")
        whole()
        before = table.added.get(own)
        table.add(own, entry)
        registered.keep(_root(table, own), whole)
        try:
            _renew()
        except (NameError, TypeError, ValueError, PydanticUserError) as error:
            registered.forget(_root(table, own))
            table.remove(own) if before is None else table.add(own, before)
            _renew()
            raise UserError(f"{where} {own}: its options cannot be read: {str(error).partition(chr(10))[0]}") from None
        return function

    return register if function is None else register(function)


def _root(table: Table[Any], name: str) -> str:
    return f"{table.module(name)}:{ENTRY}"


def _check_signature(function: FunctionType, where: str, positional: Sequence[str]) -> None:
    """Raise UserError if a function does not take what its kind is given, or has options that cannot be checked."""
    shape = f"({', '.join([*positional, '*', 'option: type = default'])})" if positional else "without parameters"
    parameters = inspect.signature(function).parameters.values()
    given = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    loose = [each for each in parameters if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    options = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
    if len(given) != len(positional) or loose or (options and not positional):
        raise UserError(f"{where}: takes {inspect.signature(function)}; allowed: a function {shape}")
    for option in options:
        if option.annotation is option.empty or option.default is option.empty or option.name == "name":
            allowed = "an annotation, a default, and another name than 'name'"
            raise UserError(f"{where}: option {option.name}: allowed: {allowed}")


class _Grown(Choice):
    """A choice with the entries that were added to its table. The models of all others stay the same objects.

    It is here, not beside Choice, so that what it is for is no part of the identity of all runs.
    """

    def __init__(self, first: Choice, added: Mapping[str, type[Component]]) -> None:
        self.models = [*first.models, *added.values()]
        self.table, self._names, self._kind = first.table, (*first._names, *added), first._kind


#: The choices as they were when this module was loaded, and the models of what was added, with their entries.
_FIRST: dict[str, Choice] = {
    field: next(each for each in RunSpec.model_fields[field].metadata if isinstance(each, Choice)) for field in _FIELDS
}
_ADDED: dict[tuple[str, str], tuple[Any, type[Component]]] = {}


def _renew() -> None:
    """Let runs name what the tables have now."""
    for problem in _FIRST["problem"].models:
        _renew_data(problem)
    for field, first in _FIRST.items():
        added: dict[str, type[Component]] = {}
        for name, entry in _FIELDS[field].added.items():
            before = _ADDED.get((field, name))
            if before is None or before[0] is not entry:
                _ADDED[field, name] = entry, _model(name, entry)
            added[name] = _ADDED[field, name][1]
        for name in [name for of, name in MODELS if of == field and name not in first.table]:
            del MODELS[field, name]
        MODELS.update({(field, name): model for name, model in added.items()})
        for model in (RunSpec, _FIELDS_ALONE):
            about = model.model_fields[field].metadata
            about[:] = [_Grown(first, added) if isinstance(each, Choice) else each for each in about]
    for model in (RunSpec, _FIELDS_ALONE):
        model.model_rebuild(force=True)
    _meaning_of.cache_clear()


def _renew_data(model: type[Component]) -> None:
    """Let the option of a problem that names a data set take what the table has now."""
    tables = PROBLEMS[model.model_fields["name"].default].tables
    for option, table in tables.items():
        if table is not DATA_SETS:
            continue
        about = model.model_fields[option]
        shipped = [name for name in get_args(about.annotation) if name in DATA_SETS and name not in DATA_SETS.added]
        classified = bool(DATA_SETS[shipped[0]].classes)
        fitting = [name for name, entry in DATA_SETS.added.items() if bool(entry.classes) == classified]
        names = (*shipped, *fitting)
        if names != get_args(about.annotation):
            about.annotation = Literal[names]  # type: ignore[assignment]
            model.model_rebuild(force=True)


def remove(names: Collection[str]) -> None:
    """Take parts out of the tables by their names; all that were registered if there is none. Raises UserError."""
    known = {name: table for table in _KINDS.values() for name in table.added}
    for name in names or list(known):
        if name not in known:
            raise UserError(f"register.forget: {name!r} is not registered")
    for table in _KINDS.values():
        for name in [name for name in table.added if not names or name in names]:
            registered.forget(_root(table, name))
            table.remove(name)
    _renew()
