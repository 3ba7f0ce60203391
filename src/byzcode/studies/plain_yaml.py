"""YAML restricted to plain values: no objects, no dates, no duplicate keys, limited size and depth."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from byzcode.errors import UserError, complain
from byzcode.specs.strict import SCIENTIFIC
from byzcode.studies.files import on_disk, read_text

#: The largest number of values in a file, with aliases expanded, and the deepest nesting.
MOST_VALUES, MOST_DEEP = 100_000, 20

#: With this key, Snakemake's YAML processor yte runs parts of a file as Python.
_CODE = "__use_yte__"

_PREFIX = "tag:yaml.org,2002:"
_NUMBERS = {f"{_PREFIX}int", f"{_PREFIX}float"}
_TAGS = {f"{_PREFIX}{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that contains a mapping of plain values; ``path`` is as text, as in configurations.

    Raises UserError if the file is missing, not YAML, too large, too deep or not a mapping, or if it has a duplicate
    key or a tag for an object.
    """
    values = plain(read_text(on_disk(path)), path)
    if not isinstance(values, dict):
        raise complain(path, "the file", values, "expected a mapping of keys to values")
    if _CODE in values:
        raise complain(path, _CODE, values[_CODE], "unknown key; files must not contain code")
    return values


def plain(text: str, where: object) -> Any:
    """The value of a YAML text, from the place ``where``.

    Raises UserError if it is not YAML, too large or too deep, or if it has a duplicate key or a tag for an object.
    """
    loader: _PlainLoader | None = None
    try:
        loader = _PlainLoader(text)
        return loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{where}:{line} not valid YAML: {problem}") from None
    except RecursionError:
        raise UserError(f"{where}: not valid YAML: nested more than {MOST_DEEP} deep") from None
    finally:
        if loader is not None:
            loader.dispose()


def _refuse(node: yaml.Node, problem: str) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


#: Numbers that YAML 1.1 reads in an unexpected way: 010 as 8, 1:30 as 90, 1_0 as 10.
_MISREAD = re.compile(r"[-+]?0[0-7_]+|.*[_:].*")


class _PlainLoader(yaml.SafeLoader):
    """The loader of :func:`read_yaml`. It checks the graph of nodes before constructing any object."""

    def get_single_node(self) -> yaml.Node | None:
        """The graph of the file, if it is small enough. Visits each node once, however many aliases it has."""
        node = super().get_single_node()
        if node is not None:
            self._measure(node, {})
        return node

    def _measure(self, node: yaml.Node, known: dict[yaml.Node, tuple[int, int]]) -> tuple[int, int]:
        """The number of values in a node, with aliases expanded, and their depth."""
        if node not in known:
            if node.tag not in _TAGS:
                kind = node.tag.removeprefix(_PREFIX)
                _refuse(node, f"a value of kind {kind!r}; allowed: plain values, without tags, dates in quotes")
            if node.tag in _NUMBERS and _MISREAD.fullmatch(node.value):
                allowed = "decimal numbers without leading 0, _ or :, and words in quotes"
                _refuse(node, f"{node.value} can be read in two ways; allowed: {allowed}")
            known[node] = MOST_VALUES, 1  # makes an alias inside its own anchor, which is infinite, exceed the limit
            inner: list[yaml.Node] = []
            if isinstance(node, yaml.CollectionNode):
                inner = [part for entry in node.value for part in (entry if isinstance(entry, tuple) else [entry])]
            sizes = [self._measure(part, known) for part in inner]
            known[node] = 1 + sum(size for size, _ in sizes), 1 + max((deep for _, deep in sizes), default=0)
        size, deep = known[node]
        if size > MOST_VALUES:
            _refuse(node, f"more than {MOST_VALUES} values, with aliases expanded")
        if deep > MOST_DEEP:
            _refuse(node, f"nested more than {MOST_DEEP} deep")
        return size, deep

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """A value. Reports values that do not match their tag (``!!int six``) like all other errors."""
        try:
            value = super().construct_object(node, deep=deep)
        except (ValueError, KeyError) as error:
            _refuse(node, f"{str(node.value)[:40]!r} is not a valid {node.tag.removeprefix(_PREFIX)}: {error}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            _refuse(node, "a whole number of more than 64 bits")
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                _refuse(key, "a key must be a plain value")
            if key.value in seen and key.tag != f"{_PREFIX}merge":
                _refuse(key, f"key {key.value!r} occurs twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


# Read 1e-1 and 1e6 as numbers, as in JSON and YAML 1.2; YAML 1.1 reads them as text.
_PlainLoader.add_implicit_resolver(f"{_PREFIX}float", re.compile(rf"^(?:{SCIENTIFIC.pattern})$"), list("-+.0123456789"))
