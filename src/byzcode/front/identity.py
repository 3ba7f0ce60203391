"""The identity of a function of the user: its source, the values that it closes over, and what these are made of.

A source counts by its meaning, without comments and docstrings, as it was when it was first read. Values count as they
are when the identity is asked for: closed-over variables, defaults, and the global names that the code reads. Functions
and classes among them count in the same way, installed packages by their versions, modules of the user by their
sources, and parts of byzcode as in the identity of any run. What has neither a source nor a value to compare is
refused. Names computed at run time, files that a function reads and attributes set on a module are not seen.
"""

from __future__ import annotations

import ast
import builtins
import enum
import functools
import hashlib
import inspect
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path, PurePath
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from byzcode.errors import UserError, shown
from byzcode.front.source import function_of, names_read, tree_of
from byzcode.lazy import ENTRY, Entry, Table, torch
from byzcode.provenance import code as provenance
from byzcode.provenance import sources, syntax, users
from byzcode.provenance.content import canonical, short_hash

PACKAGE = sources.PACKAGE.name
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...))


def parts_of(values: Mapping[str, Any], name: str) -> dict[str, str]:
    """The hashes of what some values are made of, by source; that of the values themselves by ``name``.

    Raises UserError for a value without an identity.
    """
    reader = _Reader(name)
    description = reader.of_mapping(values)
    parts = {name: short_hash(canonical(description))}
    if PACKAGE in reader.roots:
        reader.roots.discard(PACKAGE)
        parts[f"{PACKAGE} as a whole"] = short_hash(canonical(dict(sources.loaded())))
    for root in reader.modules:
        parts |= users.loaded(root)
    return {**parts, **provenance.parts(reader.roots)}


#: The meaning of the source of a function or a class when it was first read.
_MEANINGS: dict[Any, str] = {}


class _Reader:
    """Describes values as JSON, and notes which parts of byzcode and which modules of the user they use."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: list[int] = []  # what is being described, for cycles
        self._done: dict[int, tuple[Any, Any]] = {}  # by identity, with the object, so that no other gets its number
        self.roots: set[str] = set()
        self.modules: set[str] = set()

    def of(self, value: Any, place: str) -> Any:
        """The description of a value, which is known to the user by ``place``."""
        if isinstance(value, _PLAIN):
            return [type(value).__name__, repr(value)]
        number = id(value)
        if number in self._open:
            return ["again", self._open.index(number)]
        if number not in self._done:
            self._open.append(number)
            try:
                self._done[number] = value, self._described(value, place)
            finally:
                self._open.pop()
        return self._done[number][1]

    def _described(self, value: Any, place: str) -> Any:
        for kinds, describe in (
            ((np.ndarray, np.generic), _of_array),
            (enum.Enum, lambda value: [type(value).__qualname__, value.name]),
            (PurePath, lambda value: ["path", str(value)]),
        ):
            if isinstance(value, kinds):
                return describe(value)
        if isinstance(value, torch.Tensor):
            return ["tensor", str(value.dtype), _of_array(value.detach().cpu().contiguous().view(torch.uint8).numpy())]
        if isinstance(value, torch.dtype | torch.device | np.dtype):
            return [type(value).__name__, str(value)]
        if isinstance(value, Table):
            self.roots |= {f"{value.module(name)}:{ENTRY}" for name in value}
            return ["table", value.package]
        if isinstance(value, Mapping):
            return ["mapping", type(value).__name__, self.of_mapping(value, place)]
        if isinstance(value, list | tuple | set | frozenset):
            return [type(value).__name__, self._of_several(value, place)]
        return self._of_code(value, place)

    def of_mapping(self, values: Mapping[Any, Any], place: str = "") -> list[Any]:
        """Keys and values, in the order of the keys."""
        keys = sorted(values, key=lambda key: (type(key).__name__, repr(key)))
        return [[self.of(key, place), self.of(values[key], f"{place}[{key!r}]" if place else str(key))] for key in keys]

    def _of_several(self, values: Iterable[Any], place: str) -> list[Any]:
        listed = [self.of(each, f"{place}[{number}]") for number, each in enumerate(values)]
        return sorted(listed, key=canonical) if isinstance(values, set | frozenset) else listed

    def _of_code(self, value: Any, place: str) -> Any:
        """The description of a function, a class, a module, or an object that is made of them and of values."""
        if isinstance(value, ModuleType):
            return self._of_module(value.__name__, place)
        if isinstance(value, Entry):
            return ["entry", self.of(value.function, place)]
        if isinstance(value, functools.partial):
            return ["partial", self.of(value.func, place), self.of(value.args, place), self.of(value.keywords, place)]
        if isinstance(value, MethodType):
            return ["method", self.of(value.__func__, place), self.of(value.__self__, place)]
        if isinstance(value, property):
            return ["property", *(self.of(each, place) for each in (value.fget, value.fset, value.fdel))]
        if isinstance(value, staticmethod | classmethod):
            return [type(value).__name__, self.of(value.__func__, place)]
        if isinstance(value, functools.cached_property):
            return ["cached_property", self.of(value.func, place)]
        if isinstance(value, FunctionType):
            return self._of_function(value, place)
        if isinstance(value, type):
            return self._of_class(value, place)
        if isinstance(wrapped := getattr(value, "__wrapped__", None), FunctionType):
            return ["wrapped", self.of(wrapped, place)]
        if callable(value) and (package := _package_of(value)):
            return ["installed", package, getattr(value, "__qualname__", ""), self._version(package, place)]
        fields = getattr(value, "__dict__", None)
        if fields is not None and isinstance(type(value), type) and type(value).__module__ != "builtins":
            return ["object", self.of(type(value), place), self.of_mapping(fields, place)]
        raise UserError(
            f"{self._name}: {place} = {shown(value)} has no identity; allowed: numbers, texts, arrays, "
            "lists, mappings, and functions, classes and objects with a source"
        )

    def _of_module(self, name: str, place: str) -> Any:
        if name.partition(".")[0] == PACKAGE:
            self.roots.add(name)
            return ["byzcode", name]
        package = name.partition(".")[0]
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or users.installed(file):
            return ["installed", name, self._version(package, place)]
        self.modules.add(name)
        return ["module", name]

    def _of_function(self, function: FunctionType, place: str) -> Any:
        code = function.__code__
        if owned := self._of_place(function, code.co_filename, place):
            return owned
        closed = inspect.getclosurevars(function).nonlocals
        return [
            "function",
            self._meaning(function, place),
            self.of(function.__defaults__, place),
            self.of_mapping(function.__kwdefaults__ or {}),
            self.of_mapping(closed),
            self._of_globals(function, place),
        ]

    def _of_globals(self, function: FunctionType, place: str) -> Any:
        """The global names that a function reads, and the modules that it imports."""
        found: dict[str, Any] = {}
        for name, imported in names_read(function.__code__):
            if imported:
                found[f"import {name}"] = self._of_module(name, place)
            elif name in function.__globals__:
                found[name] = self.of(function.__globals__[name], name)
            elif not hasattr(builtins, name):
                raise UserError(f"{self._name}: {name} is not defined yet; allowed: to register after its definition")
        return sorted(found.items())

    def _of_class(self, kind: type, place: str) -> Any:
        file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
        if kind.__module__ == "builtins":
            return ["builtin", kind.__qualname__]
        methods = {name: each for name, each in vars(kind).items() if isinstance(function_of(each), FunctionType)}
        files = {function_of(each).__code__.co_filename for each in methods.values()} - {"<string>"}
        if owned := self._of_place(kind, next(iter(files), file), place):
            return owned
        own = {name: each for name, each in methods.items() if function_of(each).__code__.co_filename != "<string>"}
        values = {name: each for name, each in vars(kind).items() if isinstance(each, _PLAIN) and name[:2] != "__"}
        return [
            "class",
            self._meaning(kind, place)
            if own or tree_of(kind)
            else [kind.__qualname__, repr(inspect.get_annotations(kind))],
            [self.of(base, place) for base in kind.__bases__],
            self.of_mapping(own),
            self.of_mapping(values),
        ]

    def _of_place(self, value: Any, file: str, place: str) -> Any:
        """The description of what byzcode or an installed package defines; None for what the user defines."""
        if not file.startswith("<") and Path(file).is_relative_to(sources.PACKAGE):
            module, name = value.__module__, value.__qualname__
            self.roots.add(f"{module}:{name}" if name in _definitions(module) else module)
            return ["byzcode", module, name]
        if (not file.startswith("<") and users.installed(file)) or value.__module__ in sys.stdlib_module_names:
            package = value.__module__.partition(".")[0]
            return ["installed", package, value.__qualname__, self._version(package, place)]
        return None

    def _version(self, package: str, place: str) -> str:
        if package in sys.stdlib_module_names:
            return "standard library"
        for name in (package, *metadata.packages_distributions().get(package, ())):
            try:
                return metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        raise UserError(f"{self._name}: {place} is of {package}, which has no version; allowed: installed packages")

    def _meaning(self, value: Any, place: str) -> str:
        """The hash of the source of a function or a class, without the decorators that register it."""
        key = value.__code__ if isinstance(value, FunctionType) else value
        if key not in _MEANINGS:
            node = tree_of(value)
            if node is None:
                raise UserError(
                    f"{self._name}: {place} has no source, so results could not say what made them; allowed: a "
                    "function that is written in a file or a notebook"
                )
            _MEANINGS[key] = syntax.module(ast.unparse(node)).whole.meaning
        return _MEANINGS[key]


def _of_array(array: Any) -> list[Any]:
    given = np.asarray(array)
    if given.dtype.hasobject:
        return ["array", str(given.dtype), repr(given.tolist())]
    digest = hashlib.sha256(np.ascontiguousarray(given).tobytes()).hexdigest()
    return ["array", str(given.dtype), list(given.shape), digest]


def _package_of(value: Any) -> str:
    module = getattr(value, "__module__", None) or getattr(type(getattr(value, "__self__", None)), "__module__", "")
    package = str(module).partition(".")[0]
    file = getattr(sys.modules.get(package), "__file__", None)
    is_installed = package in sys.stdlib_module_names or (file is not None and users.installed(file))
    return package if is_installed else ""


@functools.cache
def _definitions(module: str) -> frozenset[str]:
    """The names that a module of byzcode defines."""
    stem = module.split(".")[1:]
    texts = sources.loaded()
    text = texts.get("/".join(stem) + ".py") or texts.get("/".join([*stem, "__init__.py"])) or ""
    return frozenset(syntax.module(text).definitions)
