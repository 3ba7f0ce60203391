"""The code that a user brings: a module outside this package, and the modules that it imports.

Modules are looked up as ``python -m`` does, with the current folder first, but none is imported. The user's own modules
count by the meaning of their sources (:mod:`byzcode.provenance.syntax`): the named one, the packages that contain it,
and all that they import, wherever in the module the import is. Of installed packages only the named one counts, by its
version. Imports by a computed name, and files that a module reads, are not seen.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import invalidate_caches, metadata, util
from pathlib import Path

from byzcode.provenance import syntax
from byzcode.provenance.content import short_hash
from byzcode.provenance.sources import PACKAGE


def is_own(root: str) -> bool:
    """Whether a root, ``module`` or ``module:name``, is a part of this package."""
    return root.partition(":")[0].partition(".")[0] == PACKAGE.name


def put_on_path() -> None:
    """Let modules of the current folder be imported, before all others, as ``python -m`` does."""
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)


def read(roots: Iterable[str]) -> dict[str, str]:
    """For each module that some roots use, a hash of its meaning; for an installed package, of its version.

    Raises ModuleNotFoundError if a named module does not exist or has no source, and SyntaxError.
    """
    invalidate_caches()  # of folders that have changed since they were listed
    put_on_path()
    parts: dict[str, str] = {}
    for root in roots:
        name = root.partition(":")[0]
        file = _file(name)
        if file is None:
            raise ModuleNotFoundError(f"there is no source of {name}, in this folder or installed", name=name)
        top = name.partition(".")[0]
        parts |= {top: short_hash(_version(top))} if installed(file) else _with_imports(name)
    return dict(sorted(parts.items()))


@cache
def loaded(root: str) -> dict[str, str]:
    """The same of one root, when the process first asked: before the module was imported."""
    return read([root])


def installed(file: str | Path) -> bool:
    """Whether a file is in the standard library or in a folder of installed packages."""
    place = Path(file)
    if {"site-packages", "dist-packages"} & set(place.parts):
        return True
    return any(place.is_relative_to(sysconfig.get_path(kind)) for kind in ("stdlib", "platstdlib"))


def _version(package: str) -> str:
    """The version of an installed package. Raises ModuleNotFoundError if it has none."""
    for name in (package, *metadata.packages_distributions().get(package, ())):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    raise ModuleNotFoundError(f"{package} is not an installed package with a version", name=package)


def _with_imports(name: str) -> dict[str, str]:
    """The hashes of a user's module, of the packages that contain it, and of the user's modules that they import."""
    parts: dict[str, str] = {}
    waiting = set(_and_parents(name))
    while waiting:
        own = waiting.pop()
        file = None if own in parts or is_own(own) else _file(own)
        if file is not None and not installed(file):
            text = file.read_bytes().decode("utf-8", "replace").replace("\0", "?")  # which is no Python, either
            try:
                parts[own] = syntax.module(text).whole.meaning
            except SyntaxError as error:
                error.filename = str(file)
                raise
            package = own if file.name == "__init__.py" else own.rpartition(".")[0]
            waiting |= set(_imported(text, package)) - parts.keys()
    return parts


def _imported(text: str, package: str) -> Iterator[str]:
    """The modules, and the names that may be modules, in all imports of a module in ``package``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _and_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            owners = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*owners, *([node.module] if node.module else [])])
            for alias in node.names:
                yield from _and_parents(f"{origin}.{alias.name}".lstrip("."))


def _and_parents(name: str) -> Iterator[str]:
    """A module and the packages that contain it."""
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _file(name: str) -> Path | None:
    """The source of a module; None if there is none. Imports nothing."""
    top, *inner = name.split(".")
    try:
        spec = util.find_spec(top)
    except ValueError:  # of a module that was not imported from a file
        return None
    if spec is None:
        return None
    if not inner:
        origin = Path(spec.origin or "")
        return origin if origin.suffix == ".py" and origin.is_file() else None
    for folder in spec.submodule_search_locations or ():
        stem = Path(folder, *inner)
        for file in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if file.is_file():
                return file
    return None
