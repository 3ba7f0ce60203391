"""What the tables of components hold, for tests that go over them: each entry, as it is and with other options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from byzcode.allocation import ALLOCATIONS
from byzcode.coding import DECODERS, VOTES
from byzcode.data import DATA_SETS
from byzcode.errors import KeyedError, UserError
from byzcode.problems import PROBLEMS
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec

Case = tuple[str, dict[str, Any]]

#: The tables of CONTRIBUTING.md, by the field of a run that names an entry. Methods name decoders and votes.
TABLES: dict[str, Mapping[str, Any]] = {
    "method": METHODS,
    "decoder": DECODERS,
    "vote": VOTES,
    **COMPONENTS,
}


def cases(table: Mapping[str, Any]) -> dict[str, Case]:
    """Each entry with its defaults, and with each other value of options that have a few: label, name and options."""
    by_name: dict[str, Case] = {}
    for name, entry in table.items():
        by_name[name] = (name, {})
        for option, value in _others(entry):
            by_name[f"{name}, {option} {value}"] = (name, {option: value})
    return by_name


def options_of(entry: Any) -> dict[str, inspect.Parameter]:
    """The options of a component: the keyword-only parameters of its function, with their types."""
    function = inspect.unwrap(getattr(entry, "function", entry))
    parameters = inspect.signature(function).parameters.values()
    kept = {parameter.name: parameter for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY}
    hints = _hints(function, kept)
    return {name: parameter.replace(annotation=hints[name]) for name, parameter in kept.items()}


def _hints(function: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """The types of some parameters. Of the others some are known to a type checker alone."""

    def only_options(**_: Any) -> None: ...

    only_options.__annotations__ = {name: function.__annotations__[name] for name in names}
    return get_type_hints(only_options, vars(inspect.getmodule(function)), include_extras=True)


def _others(entry: Any) -> Iterator[tuple[str, Any]]:
    for name, option in options_of(entry).items():
        for value in _few(option.annotation):
            if value != option.default and not (name == "data" and not _learns_from(entry, value)):
                yield name, value


def _learns_from(entry: Any, data: str) -> bool:
    """Whether a problem takes a data set, and the set needs no network."""
    defaults = {name: option.default for name, option in options_of(entry).items()}
    try:
        entry.sizes(**{**defaults, "data": data, "subsets": 5})
    except KeyedError:
        return False
    return not DATA_SETS[data].files


def _few(kind: Any) -> tuple[Any, ...]:
    """All values of a type that has a few: words, names of a table, or true and false."""
    if get_origin(kind) is Annotated:
        tables = [about.table for about in kind.__metadata__ if hasattr(about, "table")]
        return tuple(tables[0]) if tables else _few(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return get_args(kind)
    return (False, True) if kind is bool else ()


def small_problem(name: str, subsets: int, dimension: int, **options: Any) -> dict[str, Any]:
    """Options of a problem with so many subsets and, where that is for the options to say, so many parameters."""
    own = {"dimension": dimension} if "dimension" in options_of(PROBLEMS[name]) else {}
    return {"subsets": subsets, **own, **options}


#: Devices, subsets and redundancies that allocations are asked for.
SIZES = [(20, 60, 12), (100, 1000, 40), (7, 5, 5), (1, 4, 2), (12, 60, 1), (20, 60, 3), (31, 31, 6), (30, 125, 50)]


def sizes_of(allocation: str) -> list[tuple[int, int, int]]:
    """Those of the sizes that an allocation serves; if there is none, the first small ones that it does."""
    refuses = ALLOCATIONS[allocation].refuses
    served = [size for size in SIZES if refuses(*size) is None]
    small = ((n, m, r) for n in range(3, 25) for m in range(2, 61) for r in range(1, m + 1) if not refuses(n, m, r))
    return served or list(islice(small, 5))


#: Redundancies that are tried for codes and allocations, in this order.
REDUNDANCIES = (12, 40, 10, 3, 15, 100, 110, 9, 5, 4, 6, 20, 30, 60, 2, 1)


#: Devices, subsets and a redundancy for a method whose allocation serves few sizes.
OF_FEW_SIZES = {"byzshield": (15, 25, 5), "aspis": (13, 13, 4)}


def of_own_size(method: str, problem: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The sizes of a run of such a method; nothing for another method."""
    if method not in OF_FEW_SIZES:
        return {}
    devices, subsets, redundancy = OF_FEW_SIZES[method]
    named = {"name": "linear_regression", **(problem or {}), "subsets": subsets}
    return {"devices": devices, "redundancy": redundancy, "problem": named}


def run_with(**values: Any) -> RunSpec:
    """A run with what its method needs besides: the median as its rule, and the first redundancy that serves.

    A method whose allocation serves few sizes has its own size.
    """
    values = {**values, **of_own_size(values["method"], values.get("problem"))}
    method = METHODS[values["method"]]
    rule = {} if "aggregation" in method.fixed else {"aggregation": "median"}
    if not method.coded or "redundancy" in values:
        return RunSpec.parse({**rule, **values}, "tables")
    for redundancy in REDUNDANCIES:
        with suppress(UserError):
            return RunSpec.parse({**rule, "redundancy": redundancy, **values}, "tables")
    return RunSpec.parse({**rule, "redundancy": REDUNDANCIES[0], **values}, "tables")  # says why not


def decoded_run(decoder: str, devices: int, subsets: int) -> RunSpec | None:
    """A run of the first method that has a decoder, of some size. None where there is none."""
    problem = {"name": "linear_regression", "subsets": subsets, "dimension": 3}
    for name, method in METHODS.items():
        if method.decoder == decoder:
            return run_with(method=name, devices=devices, problem=problem, seeds=1, byzantine={"alpha": 0.0})
    return None
