"""What the text of a module means: its syntax tree without docstrings, in words, and what it uses of other modules.

Comments, docstrings, line breaks and the order of imports change nothing of it.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

#: Keywords of a component's or a method's entry that say how it is named: they change no number.
WORDS = frozenset({"title", "source"})

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True)
class Use:
    """A name of another module, ``from module import name``; without a name, the module itself."""

    module: str
    name: str | None = None


@dataclass(frozen=True)
class Piece:
    """A part of a module: a hash of what it means, and the names, attributes and imports in it."""

    meaning: str
    names: frozenset[str]
    attributes: frozenset[tuple[str, str]]  # (name, attribute), of ``name.attribute``
    imports: frozenset[Use]  # within it
    called: frozenset[tuple[str, str]]  # (name, text), of ``name("text", ...)``


@dataclass(frozen=True)
class Module:
    """A module: all of it, its definitions by name, the statements that define nothing, and what its names import."""

    whole: Piece
    definitions: dict[str, list[Piece]] = field(default_factory=dict)
    statements: list[Piece] = field(default_factory=list)
    imported: dict[str, Use] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()


@cache
def module(text: str) -> Module:
    """The meaning of a module's text. Raises SyntaxError."""
    tree = _without_docstrings(ast.parse(text))
    found = Module(_piece(tree), tables=frozenset(_tables(tree)))
    for statement in tree.body:
        if isinstance(statement, _IMPORTS):
            found.imported.update(_bound(statement))
            continue
        names = set(_defined(statement))
        if isinstance(statement, ast.If):  # as in ``if TYPE_CHECKING: ... else: ...``
            for inner in _below(statement):
                if isinstance(inner, _IMPORTS):
                    found.imported.update(_bound(inner))
        entries = dict(_entries(statement))
        for name, value in entries.items():
            found.definitions.setdefault(name, []).append(_piece(value))
        if names and not entries:
            piece = _piece(statement)
            for name in names:
                found.definitions.setdefault(name, []).append(piece)
        elif not names:
            found.statements.append(_piece(statement))
    return found


def _tables(tree: ast.Module) -> Iterator[str]:
    """The names that are assigned mappings of names to entries: ``RULES = {"mean": ...}``, or ``Table(...)``."""
    for statement in tree.body:
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Dict) or (isinstance(value, ast.Call) and _called(value) == "Table"):
            yield from _defined(statement)


def _entries(statement: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    """The entries of a table, each as ``TABLE[key]``."""
    value = getattr(statement, "value", None)
    if isinstance(value, ast.Dict):
        for name in _defined(statement):
            for key, entry in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant):
                    yield f"{name}[{key.value}]", _without_words(entry)


def _without_words(entry: ast.expr) -> ast.expr:
    if isinstance(entry, ast.Call):
        entry.keywords = [keyword for keyword in entry.keywords if keyword.arg not in WORDS]
    return entry


def _defined(statement: ast.AST) -> Iterator[str]:
    """The names that a statement at the top of a module binds, imports aside."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            yield name
        case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
            for inner in _below(statement):
                yield from _defined(inner) if not isinstance(inner, ast.If | ast.Try | ast.With) else ()


def _bound(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Use]]:
    """The names that an import binds."""
    for alias in statement.names:
        if isinstance(statement, ast.ImportFrom):
            yield alias.asname or alias.name, Use(statement.module or "", alias.name)
        elif alias.asname:
            yield alias.asname, Use(alias.name)
        else:
            yield alias.name, Use(alias.name)


def _piece(node: ast.AST) -> Piece:
    names: set[str] = set()
    attributes: set[tuple[str, str]] = set()
    imports: set[Use] = set()
    called: set[tuple[str, str]] = set()
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=name):
                names.add(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                attributes.add((name, attribute))
            case ast.Import() | ast.ImportFrom():
                imports.update(use for _, use in _bound(inner))
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text)), *_]):
                called.add((name, text))
    meaning = hashlib.sha256(shape(node).encode()).hexdigest()[:12]
    return Piece(meaning, frozenset(names), frozenset(attributes), frozenset(imports), frozenset(called))


def _called(call: ast.Call) -> str | None:
    function = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    return function.id if isinstance(function, ast.Name) else None


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in [tree, *_below(tree)]:
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return tree


def _below(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node. Most nodes stand in expressions, which are passed over."""
    for block in _BLOCKS:
        for inner in getattr(node, block, ()):
            yield inner
            yield from _below(inner)


def shape(node: Any) -> str:
    """A tree in words, the same under every Python (each writes ``ast.dump`` in its own way).

    Whether a name is read or written follows from its place, so ``ctx``, a third of all nodes, is left out. Imports
    that follow each other are sorted.
    """
    if isinstance(node, ast.AST):
        fields = [(name, getattr(node, name, None)) for name in node._fields if name != "ctx"]
        inner = [f"{name}={shape(value)}" for name, value in fields if value is not None and value != []]
        return f"{type(node).__name__}({','.join(inner)})"
    return f"[{','.join(_shapes(node))}]" if isinstance(node, list) else repr(node)


def _shapes(nodes: Iterable[Any]) -> Iterator[str]:
    for imports, group in groupby(nodes, lambda node: isinstance(node, _IMPORTS)):
        yield from sorted(one for node in group for one in _each_import(node)) if imports else map(shape, group)


def _each_import(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        origin = f"{node.level * '.'}{node.module} " if isinstance(node, ast.ImportFrom) else ""
        yield f"import {origin}{alias.name} as {alias.asname}"
