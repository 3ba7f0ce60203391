"""The parts that a user has registered in this process: their entries, and what each of them is made of.

An entry is written as that of a component of this package, ``byzcode.attacks.mine:ENTRY``, but there is no such module.
:mod:`byzcode.front.identity` computes the hashes, from the source and from the values that it uses now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from byzcode.provenance.syntax import IN_WORDS

_PARTS: dict[str, Callable[[], Mapping[str, str]]] = {}


def keep(root: str, parts: Callable[[], Mapping[str, str]]) -> None:
    """Remember an entry. ``parts()`` is what it is made of now: a hash for each source, by the name in reports."""
    _PARTS[root] = parts


def forget(root: str) -> None:
    """Forget an entry."""
    _PARTS.pop(root, None)


def is_known(root: str) -> bool:
    """Whether a root is an entry that was registered, with or without its words."""
    return root.removesuffix(IN_WORDS) in _PARTS


def among(roots: Iterable[str]) -> list[str]:
    """The registered entries among some roots."""
    return sorted({root.removesuffix(IN_WORDS) for root in roots if is_known(root)})


def parts(root: str) -> Mapping[str, str]:
    """What an entry is made of now."""
    return _PARTS[root.removesuffix(IN_WORDS)]()
