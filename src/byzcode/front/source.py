"""The source of a function or a class of the user as a syntax tree, also of a notebook, and the names that it reads."""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any


def tree_of(value: Any) -> ast.AST | None:
    """The syntax tree of a function or a class, without the decorators that register it; None without a source."""
    try:
        lines = _lines(value) or inspect.findsource(value)[0]
        whole = ast.parse("".join(lines))
    except (OSError, TypeError):
        return None
    except SyntaxError:  # of a file in which something else is written, such as a notebook's magic
        return _alone(value)
    if isinstance(value, type):
        return _of_class_named(whole, value.__qualname__) or _alone(value)
    code = value.__code__
    found = [node for node in ast.walk(whole) if _is_tree_of(node, code)]
    if not found:
        return None
    return _undecorated(found[0])


def _lines(value: Any) -> list[str]:
    """The lines of the source of a class that has methods: notebooks do not know where a class is, but a function."""
    if not isinstance(value, type):
        return []
    files = [
        code.co_filename for each in vars(value).values() if (code := getattr(function_of(each), "__code__", None))
    ]
    return linecache.getlines(files[0]) if (files := [file for file in files if file != "<string>"]) else []


def _alone(value: Any) -> ast.AST | None:
    try:
        return _undecorated(ast.parse(textwrap.dedent(inspect.getsource(value))).body[0])
    except (OSError, TypeError, SyntaxError, IndexError):
        return None


def _is_tree_of(node: ast.AST, code: CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        if code.co_name != "<lambda>" or node.lineno != code.co_firstlineno:
            return False
        body = (node.body.lineno, node.body.end_lineno, node.body.col_offset, node.body.end_col_offset)
        return body in set(code.co_positions())
    if isinstance(node, ast.FunctionDef):
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        return node.name == code.co_name and first == code.co_firstlineno
    return False


def _of_class_named(tree: ast.AST, name: str) -> ast.AST | None:
    last = name.rpartition(".")[2]
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == last]
    return _undecorated(found[-1]) if found else None


def _undecorated(node: ast.AST) -> ast.AST:
    """A definition without the decorators that register it: their arguments count by themselves."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        node.decorator_list = [each for each in node.decorator_list if "register." not in ast.unparse(each)]
    return node


def function_of(value: Any) -> Any:
    """The function of a method, a property or a static method."""
    for name in ("fget", "__func__", "func"):
        value = getattr(value, name, value) if not isinstance(value, FunctionType) else value
    return value


def names_read(code: CodeType) -> Iterator[tuple[str, bool]]:
    """The global names that a code reads, with False, and the modules that it imports, with True."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(step.argval), False
        elif step.opname == "IMPORT_NAME":
            yield str(step.argval), True
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from names_read(inner)
