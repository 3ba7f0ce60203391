"""Readings of the papers: the primary reading, those that differ from it in one choice, and random readings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from byzcode.errors import KeyedError, complain, one_of
from byzcode.provenance.content import canonical, short_hash
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import METHODS, method_named
from byzcode.specs.run import RunSpec
from byzcode.studies.alternatives import MultiverseConfig, OpenChoice
from byzcode.studies.choices import Choices
from byzcode.studies.expand import merge
from byzcode.studies.layers import Layer, over

Kind = Literal["primary", "single", "random"]
Size = Literal["reduced", "full"]


class Universe(NamedTuple):
    """A reading to test: the name of the alternative taken for each choice, and the size."""

    kind: Kind
    size: Size
    taken: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its id; readings with the same choices and size have the same id."""
        return short_hash(canonical({"size": self.size, "taken": dict(self.taken)}))


def universes(settings: MultiverseConfig, choices: Collection[OpenChoice]) -> list[Universe]:
    """All readings without duplicates: primary, one choice changed, random; then some of them at full size."""
    by_name: dict[str, Universe] = {}
    for universe in _reduced(settings, choices):
        by_name.setdefault(universe.name, universe)
    reduced = list(by_name.values())
    first = [universe for universe in reduced if universe.kind != "single"][: settings.full]
    return reduced + [universe._replace(size="full") for universe in first]


def _reduced(settings: MultiverseConfig, choices: Collection[OpenChoice]) -> Iterator[Universe]:
    primary = {choice.choice: choice.primary for choice in choices}
    yield Universe("primary", "reduced", primary)
    for choice in choices:
        for other in choice.others:
            yield Universe("single", "reduced", primary | {choice.choice: other.name})
    generator = np.random.default_rng(settings.seed)
    for _ in range(settings.random):
        drawn = {
            choice.choice: str(generator.choice([choice.primary, *(other.name for other in choice.others)]))
            for choice in choices
        }
        yield Universe("random", "reduced", drawn)


def changes(taken: Mapping[str, str], choices: Collection[OpenChoice], study: str) -> dict[str, Any]:
    """The keys that a reading sets for a study. Raises UserError if a choice does not have the value."""
    values: dict[str, Any] = {}
    for choice in choices:
        name = taken.get(choice.choice, choice.primary)
        others = {other.name: other for other in choice.others}
        if name != choice.primary and name not in others:
            raise complain("reading", choice.choice, name, one_of([choice.primary, *others], name))
        if name in others and (choice.studies is None or study in choice.studies):
            values |= others[name].set
    return values


def read_as(spec: RunSpec, changed: Mapping[str, Any], fixed: Collection[str], where: object) -> RunSpec:
    """A run under another reading. Keeps the keys that the claim varies (``fixed``) and those that its method fixes.

    Applies components before their options, and a replacement of the method last, which drops the old method's
    settings. Raises UserError.
    """
    values: dict[str, Any] = spec.model_dump(mode="json")
    try:
        choices = Choices(changed)
        values = over(values, _free(choices.general, {*METHODS[spec.method].fixed, *fixed}))
        of_method = dict(choices.methods.get(spec.method, {}))
        other = of_method.pop("method", None)
        values = merge(values, of_method)
        for (head, name), options in choices.options.items():
            if name in (values[head], isinstance(values[head], Mapping) and values[head]["name"]):
                named = {f"{head}.{option}": value for option, value in options.items()}
                values = merge(values, {key: value for key, value in named.items() if not _touches(key, fixed)})
        if other is not None:
            values = _by_method(values, other)
    except KeyedError as error:
        raise complain(where, error.key, error.value, error.allowed) from None
    return RunSpec.parse(values, where)


def _free(layer: Layer, fixed: Collection[str]) -> Layer:
    """The layer without the fixed keys. Drops a named component together with its options."""
    free: dict[str, Mapping[tuple[str, ...], Any]] = {}
    for head, parts in layer.fields.items():
        if head in COMPONENTS and ("name",) in parts:
            kept = {} if _touches(head, fixed) else parts
        else:
            kept = {path: value for path, value in parts.items() if not _touches(".".join((head, *path)), fixed)}
        if kept:
            free[head] = kept
    return Layer(layer.place, free)


def _touches(key: str, fixed: Collection[str]) -> bool:
    return any(key == each or key.startswith(f"{each}.") or each.startswith(f"{key}.") for each in fixed)


def _by_method(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The same run with another method and that method's fixed fields. Raises KeyedError."""
    old, new = METHODS[values["method"]], method_named(name)
    settled = {*old.defaults, *old.fixed, *new.fixed, *({} if new.coded else {"redundancy"})}
    return {key: value for key, value in values.items() if key not in settled} | {**new.fixed, "method": name}
