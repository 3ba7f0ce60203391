"""The sentences that a figure adds to its caption."""

from __future__ import annotations

from collections.abc import Iterable


def listing(names: Iterable[str]) -> str:
    """"a, b and c", each once."""
    listed = list(dict.fromkeys(names))
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def seeds_of(counts: Iterable[int]) -> str:
    """"10 seeds", or "5 to 10 seeds" where runs differ."""
    found = sorted(set(counts))
    if not found:
        return "no seed"
    number = str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"
    return f"{number} seed" if number == "1" else f"{number} seeds"


def sentence(start: str, names: Iterable[str]) -> list[str]:
    """"<start>: a, b and c.", as a list of one; of none where there are no names."""
    listed = listing(names)
    return [f"{start}: {listed}."] if listed else []


def level_in_words(key: str, value: object) -> str:
    """A key at a value, for a sentence in plain text."""
    name = {"redundancy": "r", "problem.sigma_h": "σ_H", "byzantine.alpha": "α"}.get(key, key.split(".")[-1])
    return f"{name.replace('_', ' ')} = {value}"
