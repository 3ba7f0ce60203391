"""The code that made a result: for each source file, a hash of the parts that affect the result.

A module counts as a whole, with everything that it imports from this package. Of components, kernels, the table of
methods and the ``__init__`` of packages only the definitions that are used count. The search does not follow a table
to its components: a run names its own, such as ``byzcode.aggregation.median:ENTRY``. So a new component affects no
existing result. A run may also name a module of the user (:mod:`byzcode.provenance.users`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache, cached_property
from typing import NamedTuple

from byzcode.provenance import compiled, registered, sources, users
from byzcode.provenance.content import canonical, short_hash
from byzcode.provenance.syntax import IN_WORDS, Module, Piece, Use, module

PACKAGE = "byzcode"

#: Modules that change no number: messages, refusals, loading at first use, identities, how and where files are written.
NEUTRAL = frozenset(
    {
        PACKAGE,
        *(f"{PACKAGE}.{name}" for name in ("errors", "lazy", "specs.consistency", "specs.ids", "specs.parts")),
        *(f"{PACKAGE}.storage.{name}" for name in ("atomic", "layout", "regular", "statement")),
    }
)
_NEUTRAL_PACKAGE = f"{PACKAGE}.provenance"

#: The packages of the components.
COMPONENTS = (
    *("absence", "aggregation", "allocation", "attacks", "coding", "compression", "data"),
    *("estimation", "pre_aggregation", "problems", "schedules"),
)

#: In these modules, as in the ``__init__`` of every package, only the definitions that are used count.
BY_DEFINITION = tuple(f"{PACKAGE}.{name}." for name in (*COMPONENTS, "kernels", "specs.methods"))

#: A call of this function, such as ``function("distances", ...)``, uses the compiled source of that name.
_COMPILED = Use(f"{PACKAGE}.kernels.native", "function")

_PAGES = (".css", ".jinja")
_STATEMENTS = "(statements)"


class Node(NamedTuple):
    """A whole module, one of its definitions, or a source that is not a module."""

    file: str
    name: str | None = None


class Code:
    """The code of a package: the text of each source by its path in the package."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self._closures: dict[str, frozenset[Node]] = {}
        self._parts: dict[frozenset[str], dict[str, str]] = {}

    def parts(self, roots: Iterable[str]) -> dict[str, str]:
        """For each source that some roots use, a hash of the parts that count. A root is ``module`` or ``module:name``.

        Raises ModuleNotFoundError for a module or a definition that does not exist.
        """
        named = frozenset(roots)
        if named not in self._parts:
            nodes: set[Node] = set().union(*(self._closure(root) for root in named))
            self._parts[named] = self._hashes(nodes)
        return self._parts[named]

    def modules(self, *roots: str) -> list[str]:
        """The modules that some roots use, sorted."""
        return sorted(_module_of(name) for name in self.parts(roots) if name.endswith(".py"))

    def _hashes(self, nodes: Collection[Node]) -> dict[str, str]:
        names: dict[str, set[str | None]] = {}
        for node in nodes:
            names.setdefault(node.file, set()).add(node.name)
        parts = {file: self._hash(file, frozenset(own)) for file, own in names.items()}
        return {file: hash_of_parts for file, hash_of_parts in sorted(parts.items()) if hash_of_parts}

    def _hash(self, file: str, names: frozenset[str | None]) -> str:
        """A hash of the parts of a file that count; "" if none does."""
        if not file.endswith(".py"):
            return short_hash(canonical(self._words(file)))
        if None in names:
            return self._module(file).whole.meaning
        pieces = {piece.meaning for name in names for piece in self._pieces(Node(file, name))}
        return short_hash("\n".join(sorted(pieces))) if pieces else ""

    def _words(self, file: str) -> list[str]:
        text = self.texts[file]
        return text.split() if file.endswith(_PAGES) else [*compiled.FLAGS, *compiled.words(text)]

    # --- the search ----------------------------------------------------------------------------------------------

    def _closure(self, root: str) -> frozenset[Node]:
        if root not in self._closures:
            name, _, definition = root.partition(":")
            file = self._file(name)
            if file is None:
                raise ModuleNotFoundError(name)
            known = self._module(file).definitions
            if definition not in known:  # only table entries have a variant with their words
                definition = definition.removesuffix(IN_WORDS)
            if definition and definition not in known:
                raise ModuleNotFoundError(root)
            waiting, nodes = [Node(file, definition or None), *self._parents(file)], set[Node]()
            while waiting:
                node = waiting.pop()
                if node not in nodes:
                    nodes.add(node)
                    waiting += self._used_by(node)
            self._closures[root] = frozenset(nodes)
        return self._closures[root]

    def _used_by(self, node: Node) -> Iterator[Node]:
        if not node.file.endswith(".py"):
            return
        about = self._module(node.file)
        for piece in self._pieces(node):
            uses = set(piece.imports)
            uses |= {about.imported[name] for name in piece.names & about.imported.keys()}
            attributes = {(about.imported[name], inner) for name, inner in piece.attributes if name in about.imported}
            for use in uses:
                yield from self._of_use(use, {inner for owner, inner in attributes if owner == use})
            if node.name is not None:
                yield from (Node(node.file, name) for name in piece.names & about.definitions.keys())
            for name, text in piece.called:
                if about.imported.get(name) == _COMPILED:
                    yield from map(Node, compiled.with_included(f"{compiled.FOLDER}/{text}.cpp", self.texts))

    def _pieces(self, node: Node) -> list[Piece]:
        """The pieces of a module that a node refers to."""
        about = self._module(node.file)
        if node.name is None:
            return [about.whole]
        if node.name == _STATEMENTS:
            return about.statements
        return [] if node.name in about.tables else about.definitions.get(node.name, [])

    def _of_use(self, use: Use, attributes: Collection[str]) -> Iterator[Node]:
        """The nodes of an import: a module, a definition, or a name that a package has imported itself."""
        target = f"{use.module}.{use.name}" if use.name else use.module
        file = self._file(target)
        if file is not None:  # a module; if it counts by definition, only the names that are used
            if not _by_definition(file):
                yield from self._node(target, None)
            else:
                about = self._module(file)
                for name in attributes or (*about.definitions, *about.imported):
                    yield from self._node(target, name)
        elif use.name and self._file(use.module) is not None:
            yield from self._node(use.module, use.name)

    def _node(self, name: str, definition: str | None) -> Iterator[Node]:
        file = self._file(name)
        if file is None or _neutral(name):
            return
        yield from self._parents(file)
        if definition is None or not _by_definition(file):
            yield Node(file)
            return
        about = self._module(file)
        if definition in about.definitions or definition in about.tables:
            yield Node(file, definition)
        elif definition in about.imported:
            yield from self._of_use(about.imported[definition], ())
        yield Node(file, _STATEMENTS)

    def _parents(self, file: str) -> Iterator[Node]:
        """The packages that contain a file, and the page templates and styles in the innermost one."""
        folders = file.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            package = "/".join([*folders[:depth], "__init__.py"])
            if package in self.texts and package != file:
                yield Node(package, _STATEMENTS)
        yield from (Node(page) for page in self._pages.get("/".join(folders), ()))

    @cached_property
    def _pages(self) -> dict[str, list[str]]:
        pages: dict[str, list[str]] = {}
        for name in self.texts:
            if name.endswith(_PAGES):
                pages.setdefault(name.rpartition("/")[0], []).append(name)
        return pages

    def _module(self, file: str) -> Module:
        return module(self.texts[file])

    def _file(self, name: str) -> str | None:
        """The file of a module; None if the package has no such module."""
        package, *inner = name.split(".")
        if package != PACKAGE:
            return None
        stem = "/".join(inner)
        files = (f"{stem}.py", f"{stem}/__init__.py") if inner else ("__init__.py",)
        return next((file for file in files if file in self.texts), None)


def _module_of(file: str) -> str:
    return ".".join([PACKAGE, *file.removesuffix(".py").removesuffix("/__init__").split("/")])


def _neutral(name: str) -> bool:
    return name in NEUTRAL or f"{name}.".startswith(f"{_NEUTRAL_PACKAGE}.")


def _by_definition(file: str) -> bool:
    return file.endswith("__init__.py") or f"{_module_of(file)}.".startswith(BY_DEFINITION)


def digest(parts: Mapping[str, str]) -> str:
    """The identity of some code: a hash of its parts."""
    return short_hash(canonical(dict(parts)))


@cache
def loaded() -> Code:
    """The code of this process, as it was when the process loaded it."""
    return Code(sources.loaded())


def parts(roots: Iterable[str]) -> dict[str, str]:
    """The parts of the code of this process that some roots use, with those of the user by the names of their modules.

    Parts that the user registered are named as such.
    """
    named = list(roots)
    own, others = _divided(named)
    found = loaded().parts(own)
    for root in others:
        found = {**found, **users.loaded(root)}
    for root in registered.among(named):
        found = {**found, **registered.parts(root)}
    return found


def edited(roots: Iterable[str]) -> list[str]:
    """The sources of some roots edited since this process loaded them. Comments, docstrings and layout do not count.

    What the user registered counts as it was then, so no later edit changes it.
    """
    own, others = _divided(roots)
    return [*_edited(own), *(name for root in others for name in _edited_by_user(root))]


def _divided(roots: Iterable[str]) -> tuple[list[str], list[str]]:
    """The roots in this package, and those in modules of the user; without those that were registered."""
    named = [root for root in roots if not registered.is_known(root)]
    others = {root.removesuffix(IN_WORDS) for root in named if not users.is_own(root)}
    return [root for root in named if users.is_own(root)], sorted(others)


def _edited(roots: Iterable[str]) -> list[str]:
    now, before = sources.read(), loaded()
    if now == before.texts:
        return []
    named = tuple(roots)
    parts = before.parts(named)
    try:
        return changed(parts, Code(now).parts(named))
    except (SyntaxError, ModuleNotFoundError):  # someone is editing the code right now
        return [name for name in parts if now.get(name) != before.texts[name]]


def _edited_by_user(root: str) -> list[str]:
    try:
        return changed(users.loaded(root), users.read([root]))
    except (SyntaxError, ModuleNotFoundError):
        return [root.partition(":")[0]]


def comparable(file: str) -> bool:
    """Whether a source counts as a whole, so that all results that name it have the same hash of it."""
    return not (file.endswith(".py") and _by_definition(file))


def changed(parts: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """The sources that differ between two versions of code: changed, added or removed."""
    return sorted(name for name in parts.keys() | others.keys() if parts.get(name) != others.get(name))
