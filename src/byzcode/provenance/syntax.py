"""The meaning of a module: a hash of its syntax tree without docstrings, and the names that it uses of other modules.

Comments, docstrings, line breaks and the order of imports do not affect it.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

#: The name of a component's entry in its module, as in :mod:`byzcode.lazy`.
ENTRY = "ENTRY"

#: Keywords of component and method entries that no training uses. They serve titles, bounds and recommendations.
WORDS = frozenset(
    {
        *("title", "source", "lacks", "kappa", "sharp_kappa", "jumps", "pairwise", "laws", "spectral"),
        *("delta", "unbiased", "choices", "idle", "redundancies", "labels"),
        *("origins", "licence", "notice"),
    }
)

#: The suffix of an entry's name that says that these keywords count, too.
IN_WORDS = "*"

_IMPORTS = (ast.Import, ast.ImportFrom)
_WITH_DOCSTRING = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While)


@dataclass(frozen=True)
class Use:
    """A name from another module, as in ``from module import name``; without a name, the module itself."""

    module: str
    name: str | None = None


@dataclass
class Piece:
    """A part of a module: a hash of what it means, and the names, attributes and imports in it."""

    meaning: str = ""
    names: set[str] = field(default_factory=set)
    attributes: set[tuple[str, str]] = field(default_factory=set)  # (name, attribute), of ``name.attribute``
    imports: set[Use] = field(default_factory=set)  # import statements inside the piece
    called: set[tuple[str, str]] = field(default_factory=set)  # (name, text), of ``name("text", ...)``


@dataclass
class Module:
    """A module: the whole, its definitions by name, the statements that define nothing, its imports and its tables."""

    whole: Piece = field(default_factory=Piece)
    definitions: dict[str, list[Piece]] = field(default_factory=dict)
    statements: list[Piece] = field(default_factory=list)
    imported: dict[str, Use] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)


@cache
def module(text: str) -> Module:
    """Parse the text of a module. Raises SyntaxError."""
    tree = ast.parse(text)
    result = Module()
    pieces = []
    for statement in tree.body[ast.get_docstring(tree, clean=False) is not None :]:
        if isinstance(statement, _IMPORTS):
            result.imported.update(_bound(statement))
            continue
        for inner in _below(statement) if isinstance(statement, _BLOCKS) else ():
            if isinstance(inner, _IMPORTS):
                result.imported.update(_bound(inner))
        pieces += _settle(result, statement)
    result.whole.meaning = _hash("\n".join([*_imports_in(tree.body), *(piece.meaning for piece in pieces)]))
    result.whole.imports.update(result.imported.values())
    for piece in pieces:
        result.whole.names |= piece.names
        result.whole.attributes |= piece.attributes
        result.whole.imports |= piece.imports
        result.whole.called |= piece.called
    return result


def _settle(result: Module, statement: ast.stmt) -> list[Piece]:
    """Add a statement to the module in ``result``, and return its pieces."""
    names, value = list(_defined(statement)), getattr(statement, "value", None)
    if isinstance(value, ast.Call) and names == [ENTRY]:
        return [_add_entry(result, ENTRY, value)]
    if isinstance(value, ast.Call) and _called(value) == "Table":
        result.tables.update(names)
    if not (isinstance(value, ast.Dict) and names):
        piece = _piece(statement)
        for name in names:
            result.definitions.setdefault(name, []).append(piece)
        if not names:
            result.statements.append(piece)
        return [piece]
    result.tables.update(names)
    pieces = []
    for key, entry in zip(value.keys, value.values, strict=True):
        name = f"{names[0]}[{key.value!s}]" if isinstance(key, ast.Constant) else f"{names[0]}[{ast.unparse(entry)}]"
        pieces.append(_add_entry(result, name, entry))
    return pieces


def _add_entry(result: Module, name: str, entry: ast.expr) -> Piece:
    """Add a table entry to the module in ``result``, with and without its words, and return the piece with them."""
    piece = _piece(entry, name)
    result.definitions[name + IN_WORDS] = [piece]
    if isinstance(entry, ast.Call):
        entry.keywords = [keyword for keyword in entry.keywords if keyword.arg not in WORDS]
    result.definitions[name] = [_piece(entry, name)]
    return piece


def _called(call: ast.Call) -> str | None:
    function = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    return function.id if isinstance(function, ast.Name) else None


def _defined(statement: ast.AST) -> Iterator[str]:
    """The names that a top-level statement binds, except imports."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.AugAssign(target=ast.Name(id=name)):
            yield name
        case _ if isinstance(statement, _BLOCKS):
            for inner in ast.iter_child_nodes(statement):
                yield from _defined(inner)


def _bound(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Use]]:
    """The names that an import binds."""
    for alias in statement.names:
        use = Use(statement.module or "", alias.name) if isinstance(statement, ast.ImportFrom) else Use(alias.name)
        yield alias.asname or alias.name, use


def _below(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node. The search skips expressions, which contain most nodes."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, block, ()):
            yield inner
            yield from _below(inner)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


# --- trees as text ---------------------------------------------------------------------------------------------------


def _piece(node: ast.AST, name: str = "") -> Piece:
    piece, words = Piece(), [name]
    _say(node, words.append, piece)
    piece.meaning = _hash("".join(words))
    return piece


def _say(node: Any, say: Any, piece: Piece) -> None:
    """Write a tree as text that is the same in every Python version, and add the names that it uses to ``piece``.

    ``ctx``, a third of all nodes, is omitted, because the place of a name implies whether it is read or written.
    Consecutive imports are sorted.
    """
    kind = node.__class__
    if kind is ast.Name:
        piece.names.add(node.id)
        say(f"`{node.id}`")
    elif kind is ast.Constant:
        say(repr(node.value))
    elif kind is list:
        say("[")
        _say_all(node, say, piece)
        say("]")
    elif isinstance(node, ast.AST):
        say(kind.__name__)
        say("(")
        for name in node._fields:
            value = _meant(node, name)
            if value is None or value == [] or name in _SILENT:
                continue
            say(name)
            say("=")
            _say(value, say, piece)
        say(")")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            piece.attributes.add((node.value.id, node.attr))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                piece.called.add((node.func.id, first.value))
    else:
        say(repr(node))


_SILENT = {"ctx", "kind", "type_comment"}


def _meant(node: ast.AST, name: str) -> Any:
    """A part of a node without its words: docstrings, descriptions of fields; and without brackets of a formatter."""
    value = getattr(node, name, None)
    if name == "body" and isinstance(node, _WITH_DOCSTRING):
        return node.body[ast.get_docstring(node, clean=False) is not None :]
    if isinstance(node, ast.Delete) and name == "targets":
        return [each for target in node.targets for each in getattr(target, "elts", [target])]
    if (
        isinstance(node, ast.Call)
        and name == "keywords"
        and isinstance(node.func, ast.Name)
        and node.func.id == "Field"
    ):
        return [keyword for keyword in node.keywords if keyword.arg != "description"]
    return value


def _say_all(nodes: list[Any], say: Any, piece: Piece) -> None:
    if not any(isinstance(node, _IMPORTS) for node in nodes):
        for node in nodes:
            _say(node, say, piece)
            say(",")
        return
    for imports, group in groupby(nodes, lambda node: isinstance(node, _IMPORTS)):
        if imports:
            imported = list(group)
            say(",".join(_imports_in(imported)))
            piece.imports.update(use for node in imported for _, use in _bound(node))
        else:
            _say_all(list(group), say, piece)


def _imports_in(statements: Iterable[ast.AST]) -> list[str]:
    """The imports among some statements, as sorted text."""
    words = []
    for node in statements:
        if isinstance(node, _IMPORTS):
            origin = f"{node.level * '.'}{node.module} " if isinstance(node, ast.ImportFrom) else ""
            words += [f"import {origin}{alias.name} as {alias.asname}" for alias in node.names]
    return sorted(words)
