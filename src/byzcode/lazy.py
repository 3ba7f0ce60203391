"""Load torch and the components of a table at first use.

Importing torch takes about two CPU seconds. Snakemake reads the run specifications (hence the tables of rules and
attacks) at every start and, on a cluster, for every job; figures do not need torch at all. So modules that those
tables reach write ``from byzcode.lazy import torch``; type checkers see the real module.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["Entry", "Table", "torch"]

T = TypeVar("T")

#: The name of the variable that holds a component's entry in its module.
ENTRY = "ENTRY"


@dataclass(frozen=True)
class Entry:
    """A table entry: the function that does the work, its title in figures, and the labels of its options.

    A label is a pair: the text in the title of a panel, and the text on an axis. ``added`` names the options that came
    after the first runs. Run ids omit them at their defaults, so that they change no id; their defaults must stay.
    """

    function: Callable[..., Any]
    title: str = field(default="", kw_only=True)
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict, kw_only=True)
    added: frozenset[str] = field(default=frozenset(), kw_only=True)

    @property
    def words(self) -> str:
        """The title, or the function's name with spaces."""
        return self.title or self.function.__name__.replace("_", " ")


class Table(Mapping[str, T]):
    """Components by name, in the order in which a package lists them. Each has a module of the same name.

    A package writes ``RULES = Table(__name__, Rule, ("mean", "median"))``, and its module ``median`` defines
    ``ENTRY = Rule(...)``. A module is imported when its entry is first read. Entries that a process adds (see
    :mod:`byzcode.front.register`) come last, and have no module.
    """

    def __init__(self, package: str, kind: type[T], names: tuple[str, ...]) -> None:
        self._package, self._kind, self._names = package, kind, names
        self._added: dict[str, T] = {}
        self._modules: dict[str, Any] = {}  # a million specifications read their entries, and ``import_module`` is slow

    @property
    def package(self) -> str:
        """The dotted name of the package whose table this is."""
        return self._package

    @property
    def added(self) -> Mapping[str, T]:
        """The entries that this process has added."""
        return self._added

    def add(self, name: str, entry: T) -> None:
        """Add an entry for the life of this process, or replace one that it added. Raises KeyError for another name."""
        if name in self._names:
            raise KeyError(name)
        self._added[name] = entry

    def remove(self, name: str) -> None:
        """Remove an entry that this process added. Raises KeyError."""
        del self._added[name]

    def __setitem__(self, name: str, entry: object) -> None:
        """Refuse: an entry needs an identity, so that results say what made them."""
        raise TypeError(f"{self!r} takes no entries by assignment; use the decorators of byzcode.register")

    def module(self, name: str) -> str:
        """The dotted name of a component's module, without importing it; an added one has none. Raises KeyError."""
        if name not in self:
            raise KeyError(name)
        return f"{self._package}.{name}"

    def __getitem__(self, name: str) -> T:
        if name in self._added:
            return self._added[name]
        if name not in self._modules:
            self._modules[name] = self._load(name, self.module(name))
        entry: T = self._modules[name].ENTRY
        return entry

    def _load(self, name: str, module: str) -> ModuleType:
        """The module of a component, which defines an entry of the kind of this table. Raises ImportError."""
        try:
            loaded = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise ImportError(f"{self._package} lists {name}, but there is no module {module}") from None
        if not isinstance(getattr(loaded, ENTRY, None), self._kind):
            raise ImportError(
                f"{self._package} lists {name}, but {module} defines no {ENTRY} = {self._kind.__name__}(...)"
            )
        return loaded

    def __iter__(self) -> Iterator[str]:
        yield from self._names
        yield from self._added

    def __len__(self) -> int:
        return len(self._names) + len(self._added)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._added or name in self._names)

    def __repr__(self) -> str:
        return f"Table({self._package}: {', '.join(self)})"


class _Lazy(ModuleType):
    """Stand in for a module: import it at the first attribute access, then copy its attributes.

    The stand-in is not in ``sys.modules``, because other libraries look there to see whether torch is loaded.
    """

    def __getattr__(self, name: str) -> Any:
        module = _imported(self.__name__)
        self.__dict__.update(module.__dict__)
        return getattr(module, name)


def _imported(name: str) -> ModuleType:
    """Import a module with the garbage collector off, then freeze the objects that exist.

    An import of torch makes a quarter of a million objects and no garbage. The collector would search them repeatedly,
    for the last time when the process ends; this took a third of the CPU time of a short training.
    """
    if name in sys.modules or not gc.isenabled():
        return importlib.import_module(name)
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


if TYPE_CHECKING:
    import torch
else:
    torch = _Lazy("torch")
