"""Identities: of a run by its content, of code by its syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from byzcode.provenance.content import canonical, short_hash

PACKAGE = "byzcode"


#: The modules whose code settles what each stage of the workflow makes.
STAGES = {
    "allocate": ("byzcode.storage.allocations",),
    "train": ("byzcode.training.workers", "byzcode.storage.trajectories", "byzcode.storage.allocations"),
    "summarise": ("byzcode.analysis.summary",),
    "figure": ("byzcode.figures",),
    "claims": ("byzcode.analysis.evidence",),
    "scorecard": ("byzcode.scorecard.page",),
    "reading": ("byzcode.multiverse.universe",),
    "multiverse": ("byzcode.multiverse.summarise",),
}

#: Modules that can change no number: the version, what is said about mistakes, when torch is loaded.
NEUTRAL = {"byzcode", "byzcode.errors", "byzcode.lazy"}

#: What is compiled into the package: its text counts as code, beside the modules that call it.
IN_C = {".c", ".cc", ".cpp", ".cu", ".h", ".hpp"}
#: What pages are made of, word by word.
IN_PAGES = {".css", ".jinja"}


def stage_digest(stage: str) -> str:
    """The identity of the code of a stage."""
    return code_digest(*STAGES[stage])


@cache
def code_digest(*roots: str) -> str:
    """The identity of some modules and of all that they import inside this package.

    It is made of syntax trees without docstrings, and of the words of compiled sources: a comment, a docstring or a
    line break changes nothing.
    """
    modules = [module for module in import_closure(*roots) if module not in NEUTRAL]
    trees = {module: _meaning(_source(module)) for module in modules}
    texts = {f"{module}/{path.name}": _text(path) for module in modules for path in _beside(module)}
    return short_hash(canonical(trees | texts))


def import_closure(*roots: str) -> list[str]:
    """The modules of this package that some of its modules import, directly or not, themselves included."""
    waiting, found = list(roots), set()
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        parent = module.rpartition(".")[0]
        waiting += _imports(module) + ([parent] if parent else [])
    return sorted(found)


def _imports(module: str) -> list[str]:
    """Modules of the package that a module names in its import statements, wherever these stand, or in a table."""
    source = _source(module)
    named = _named(source) + [f"{module}.{name}" for name in _listed(source)]
    return [name for name in named if _path(name) is not None]


@cache
def _listed(source: str) -> list[str]:
    """The components that a source lists in a call of :class:`byzcode.lazy.Table`."""
    calls = [node for node in ast.walk(_tree(source)) if isinstance(node, ast.Call)] if "Table(" in source else []
    tables = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Table"]
    return [name for table in tables for name in ast.literal_eval(table.args[2])]


@cache
def _named(source: str) -> list[str]:
    """What of the package a source may import: of ``from a import b`` both ``a`` and ``a.b``."""
    named: list[str] = []
    for node in _statements(_tree(source)):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            named.append(node.module)
            named += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in named if name.split(".")[0] == PACKAGE]


@cache
def _meaning(source: str) -> str:
    return _shape(_tree(source))


@cache
def _tree(source: str) -> ast.Module:
    """The syntax tree without docstrings. Stages share most modules: each is parsed once."""
    tree = ast.parse(source)
    for node in [tree, *_statements(tree)]:
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return tree


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node. Each training looks through the engine, and most nodes stand in expressions."""
    for blocks in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, blocks, ()):
            yield inner
            yield from _statements(inner)


def _shape(node: Any) -> str:
    """A tree in words, the same under every Python (each writes ``ast.dump`` in its own way).

    Whether a name is read or written follows from its place, so ``ctx``, a third of all nodes, is left out.
    """
    if isinstance(node, ast.AST):
        fields = [(name, getattr(node, name, None)) for name in node._fields if name != "ctx"]
        inner = [f"{name}={_shape(value)}" for name, value in fields if value is not None and value != []]
        return f"{type(node).__name__}({','.join(inner)})"
    return f"[{','.join(map(_shape, node))}]" if isinstance(node, list) else repr(node)


def _beside(module: str) -> list[Path]:
    """The sources in C and its kin, and of pages, that lie beside the modules of a package."""
    path = _path(module)
    if path is None or path.name != "__init__.py":
        return []
    return sorted(found for found in path.parent.iterdir() if found.suffix in IN_C | IN_PAGES)


def _text(path: Path) -> Any:
    text = path.read_text("utf-8")
    return _words(text) if path.suffix in IN_C else text.split()


_TEXT = r'"(?:\\.|[^"\\])*"|' + r"'(?:\\.|[^'\\\n])+'"
_COMMENT = re.compile(rf"//[^\n]*|/\*.*?\*/|({_TEXT})", re.DOTALL)
_OPERATOR = r"<<=|>>=|->|\+\+|--|<<|>>|&&|\|\||::|[-+*/%&|^<>=!]=|[^\w\s]"
_WORD = re.compile(rf"^[ \t]*#.*|{_TEXT}|\w+|{_OPERATOR}", re.MULTILINE)


def _words(source: str) -> list[str]:
    """The words of a source in C or C++, without comments and blank space; a line of the preprocessor is one word."""
    joined = source.replace("\\\n", "")
    bare = _COMMENT.sub(lambda found: found[1] or " ", joined)  # a text may hold what looks like a comment
    return [" ".join(word.split()) if word.lstrip().startswith("#") else word for word in _WORD.findall(bare)]


def _source(module: str) -> str:
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(module)
    return path.read_text(encoding="utf-8")


@cache
def _path(module: str) -> Path | None:
    base = Path(str(files(PACKAGE))).joinpath(*module.split(".")[1:])
    candidates: Sequence[Path] = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)
