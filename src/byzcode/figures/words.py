"""Sentences that a figure adds to its caption."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from byzcode.figures.style import value_words
from byzcode.training.status import Status


def listing(names: Iterable[str]) -> str:
    """The names without duplicates as "a, b and c"."""
    listed = list(dict.fromkeys(names))
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def seeds_of(counts: Iterable[int]) -> str:
    """The words "10 seeds", or "5 to 10 seeds" if runs differ."""
    numbers = sorted(set(counts))
    if not numbers:
        return "no seed"
    number = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return f"{number} seed" if number == "1" else f"{number} seeds"


def sentence(start: str, names: Iterable[str]) -> list[str]:
    """A list with the sentence "<start>: a; b; c.", or an empty list without names."""
    listed = "; ".join(dict.fromkeys(names))
    return [f"{start}: {listed}."] if listed else []


#: Keys of a RunSpec in plain text.
_SYMBOLS = {
    "redundancy": "r",
    "tasks": "d",
    "redundancy_or_tasks": "r or d",
    "problem.sigma_h": "\N{GREEK SMALL LETTER SIGMA}_H",
    "byzantine.alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "assumed_alpha": "\N{GREEK SMALL LETTER ALPHA}'",
}


#: Markup of titles, and the same in plain text.
_MARKUP = {
    "$": "",
    r"\sigma": "\N{GREEK SMALL LETTER SIGMA}",
    r"\alpha": "\N{GREEK SMALL LETTER ALPHA}",
    r"\eta ": "\N{GREEK SMALL LETTER ETA}",
}


def in_plain(title: str) -> str:
    """A title without mathematical markup, for sentences."""
    for markup, plain in _MARKUP.items():
        title = title.replace(markup, plain)
    return title


def named(chosen: Iterable[tuple[str, Any]], everything: Iterable[tuple[str, Any]], key: str | None) -> list[str]:
    """Names for some points of a figure, each a label and a level of ``key``: "CRA-DL at r = 100, 200", "RBA-DL".

    A curve whose points are all included, or that has no levels, is named by its label alone.
    """
    chosen, points = list(chosen), list(everything)
    names = []
    for label in dict.fromkeys(label for label, _ in chosen):
        levels = [level for other, level in chosen if other == label]
        if all(level in levels for other, level in points if other == label) or key is None:
            names.append(label)
        else:
            symbol = _SYMBOLS.get(key, key.split(".")[-1].replace("_", " "))
            words = [value_words(key, level) if isinstance(level, str) else str(level) for level in levels]
            names.append(f"{label} at {symbol} = {', '.join(dict.fromkeys(words))}")
    return names


#: The start of a sentence on points that a triangle on the lower edge of their panel marks.
BELOW = "Below its panel"


def stacked(start: str, points: Sequence[tuple[str, Any]]) -> list[str]:
    """A sentence if several curves are below their panel at an x, because their triangles are then above each other."""
    together = start.startswith(BELOW) and len({x for _, x in points}) < len(set(points))
    return ["Triangles at the same x are stacked."] if together else []


def with_ending(label: str, endings: Iterable[Status]) -> str:
    """The label of a curve that is not drawn, with the status of its runs: "RBA-DL (undefined)"."""
    words = listing(status.word for status in endings if status is not Status.FINISHED)
    return f"{label} ({words})" if words else label


def lone_seed(spread: str, counts: Iterable[int]) -> list[str]:
    """A sentence if runs have a single seed: their interquartile range, drawn as ``spread``, has no width."""
    numbers = set(counts)
    if 1 not in numbers:
        return []
    subject = "A run with a single seed" if len(numbers) > 1 else "A single seed"
    return [f"{subject} has no interquartile range, so no {spread}."]
