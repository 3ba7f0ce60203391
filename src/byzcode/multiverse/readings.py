"""Readings of the papers: the primary one, those that differ from it in one choice, and random ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from byzcode.errors import KeyedError, complain, one_of
from byzcode.methods import METHODS
from byzcode.studies.alternatives import MultiverseConfig, OpenChoice
from byzcode.studies.choices import Choices, check_one
from byzcode.studies.expand import merge
from byzcode.studies.identity import canonical, short_hash
from byzcode.studies.layers import Layer, over
from byzcode.studies.spec import COMPONENTS, RunSpec, method_named

Kind = Literal["primary", "single", "random"]
Size = Literal["reduced", "full"]


class Universe(NamedTuple):
    """A reading to be tried: which alternative each choice takes, by name, and at which size."""

    kind: Kind
    size: Size
    taken: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its identity: readings with the same choices are the same."""
        return short_hash(canonical({"size": self.size, "taken": dict(self.taken)}))


def check(choices: Collection[OpenChoice], path: str) -> None:
    """Refuse what no reading can take: a name that stands twice, an unknown key or value, a key of two choices.

    Of two choices that set one key for a study, a reading that takes both would follow the later one. Raises UserError.
    """
    named: list[str] = []
    setting: dict[str, dict[int, OpenChoice]] = {}
    for number, choice in enumerate(choices):
        place = f"choices[{number}]"
        _once(path, f"{place}.choice", choice.choice, named)
        others = [choice.primary]
        for at, other in enumerate(choice.others):
            _once(path, f"{place}.others[{at}].name", other.name, others)
            for key, value in other.set.items():
                where = f"{place}.others[{at}].set.{key}"
                check_one(key, value, path, (f"{place}.others[{at}].set", where))
                owners = setting.setdefault(key, {})
                for owner in (owner for first, owner in owners.items() if first != number and _meet(owner, choice)):
                    allowed = f"choice {owner.choice} sets it, too; allowed: a key in one choice for each study"
                    raise complain(path, where, value, allowed)
                owners[number] = choice


def _once(path: str, place: str, name: str, others: list[str]) -> None:
    if name in others:
        raise complain(path, place, name, "stands twice; allowed: each name once")
    others.append(name)


def _meet(one: OpenChoice, other: OpenChoice) -> bool:
    """Whether two choices concern one study."""
    return one.studies is None or other.studies is None or not set(one.studies).isdisjoint(other.studies)


def universes(settings: MultiverseConfig, choices: Collection[OpenChoice]) -> list[Universe]:
    """All readings, each once: the primary, one choice changed, random ones; then some of them at full size."""
    found: dict[str, Universe] = {}
    for universe in _reduced(settings, choices):
        found.setdefault(universe.name, universe)
    reduced = list(found.values())
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
    """The keys that a reading sets for a study. Raises UserError where a choice has no such value."""
    found: dict[str, Any] = {}
    for choice in choices:
        name = taken.get(choice.choice, choice.primary)
        others = {other.name: other for other in choice.others}
        if name != choice.primary and name not in others:
            raise complain("reading", choice.choice, name, one_of([choice.primary, *others], name))
        if name in others and (choice.studies is None or study in choice.studies):
            found |= others[name].set
    return found


def read_as(spec: RunSpec, changed: Mapping[str, Any], fixed: Collection[str], where: object) -> RunSpec:
    """A run under another reading. What the claim varies, the keys ``fixed``, and what its method fixes stay.

    Components come before their options, and another method last: what the old one was given goes with it. Raises
    UserError.
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
    """The layer without what touches the fixed keys. A component that is named is one thing with its options."""
    said: dict[str, Mapping[tuple[str, ...], Any]] = {}
    for head, parts in layer.said.items():
        if head in COMPONENTS and ("name",) in parts:
            kept = {} if _touches(head, fixed) else parts
        else:
            kept = {path: value for path, value in parts.items() if not _touches(".".join((head, *path)), fixed)}
        if kept:
            said[head] = kept
    return Layer(layer.place, said)


def _touches(key: str, fixed: Collection[str]) -> bool:
    return any(key == each or key.startswith(f"{each}.") or each.startswith(f"{key}.") for each in fixed)


def _by_method(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The same run by another method, with what that settles. Raises KeyedError."""
    old, new = METHODS[values["method"]], method_named(name)
    settled = {*old.defaults, *old.fixed, *new.fixed, *({} if new.coded else {"redundancy"})}
    return {key: value for key, value in values.items() if key not in settled} | {**new.fixed, "method": name}
