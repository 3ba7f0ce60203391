"""Fields of a run that several places give, one over another. In each of them the order of keys means nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from byzcode.errors import KeyedError, component_models, one_of, shown
from byzcode.specs.run import COMPONENTS, RunSpec

Values = dict[str, Any]
Path = tuple[str, ...]

#: The fields that have parts and no name.
PARTED = ("byzantine", "record")

#: The models of components, by field and name.
MODELS = {(head, model.__name__): model for head in COMPONENTS for model in component_models(RunSpec, head)}

_NAME: Path = ("name",)


@dataclass(frozen=True)
class Layer:
    """What one place says of a run: ``place`` in words, and by field the values of the paths below it.

    A component is its name and its options: ``attack: sign_flip`` says {"attack": {("name",): "sign_flip"}}, and
    ``devices: 6`` says {"devices": {(): 6}}.
    """

    place: str
    said: Mapping[str, Mapping[Path, Any]]

    @classmethod
    def of(cls, place: str, fields: Mapping[str, Any]) -> Layer:
        """The layer of a mapping of fields. Raises KeyedError where it says two things of one."""
        said: dict[str, dict[Path, Any]] = {}
        for key in sorted(fields):
            head, *rest = key.split(".")
            parts = said.setdefault(head, {})
            for path, value in _unfolded(head, tuple(rest), fields[key]):
                _check_agreement(place, head, parts, path, value)
                parts[path] = value
        return cls(place, said)

    def at(self, head: str, *path: str, default: Any = None) -> Any:
        """The value of a path."""
        return self.said.get(head, {}).get(path, default)

    def without(self, heads: Collection[str]) -> Layer:
        """The layer without some fields."""
        return Layer(self.place, {head: parts for head, parts in self.said.items() if head not in heads})


def over(values: Mapping[str, Any], changes: Layer) -> Values:
    """Fields of a run with a layer over them; see :func:`layered`. Raises KeyedError."""
    if not changes.said:
        return dict(values)
    below = {key: value for key, value in values.items() if key.partition(".")[0] in changes.said}
    rest = {key: value for key, value in values.items() if key not in below}
    return rest | layered([Layer.of("the run", below), changes])


def layered(layers: Sequence[Layer]) -> Values:
    """The fields of a run, of layers of which each outweighs those before it. Raises KeyedError.

    Parts of ``byzantine`` and ``record`` and options of a component are settled each by itself. An option that stands
    beside a name is that component's, and goes with it; one that stands alone is of whichever component is named, and
    must be an option of it.
    """
    heads = dict.fromkeys(head for layer in layers for head in layer.said)
    return {head: _settled(head, [layer for layer in layers if head in layer.said]) for head in heads}


def _unfolded(head: str, rest: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """The values of a key by their paths below its field. A dotted key reaches into a mapping."""
    key = ".".join((head, *rest))
    if head in COMPONENTS and not rest and isinstance(value, str):
        yield _NAME, value
    elif head in COMPONENTS or head in PARTED:
        if not rest and not isinstance(value, Mapping):
            name = "a name, or " if head in COMPONENTS else ""
            raise KeyedError(key, value, f"expected {name}a mapping of keys to values")
        yield from _leaves(rest, value)
    elif rest and head in RunSpec.model_fields:
        raise KeyedError(key, value, f"{head} has no parts")
    else:
        yield rest, value


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key in sorted(value, key=str):
        yield from _leaves((*path, str(key)), value[key])


def _check_agreement(place: str, head: str, parts: Mapping[Path, Any], path: Path, value: Any) -> None:
    """Refuse a second value of a path, unless it is the same (4 and 4.0 are, true and 1 are not), and parts of one."""
    for other, said in parts.items():
        same = other == path and said == value and isinstance(said, bool) == isinstance(value, bool)
        if _related(path, other) and not same:
            there = ".".join((head, *other))
            raise KeyedError(
                ".".join((head, *path)), value, f"{place} says {there} = {shown(said)} as well; say it once"
            )


def _related(one: Path, other: Path) -> bool:
    """Whether one path is the other, or leads to it."""
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _settled(head: str, layers: Sequence[Layer]) -> Any:
    """One field of a run, of the layers that say something of it."""
    named = [layer for layer in layers if _NAME in layer.said[head]] if head in COMPONENTS else []
    name = named[-1].said[head][_NAME] if named else None
    parts: Mapping[Path, Any] = {}
    for layer in layers:
        said = layer.said[head]
        if named and said.get(_NAME, name) != name:
            continue  # its options are of a component that is not used
        if named:
            _check_options(head, name, named[-1].place, layer)
        kept = {path: value for path, value in parts.items() if not any(_related(path, new) for new in said)}
        parts = {**kept, **said}
    if () in parts:
        return parts[()]
    return name if parts.keys() == {_NAME} and isinstance(name, str) else _nested(parts)


def _check_options(head: str, name: Any, place: str, layer: Layer) -> None:
    """Refuse an option that the component does not have, and say who gives it and who names the component."""
    model = MODELS.get((head, str(name)))
    for path, value in layer.said[head].items() if model else ():
        if model and path[0] not in model.model_fields:
            allowed = "unknown key; " + one_of(model.model_fields, path[0])
            if layer.place != place:
                allowed += f"; {layer.place} gives it, but {place} names {name}"
            raise KeyedError(".".join((head, *path)), value, allowed)


def _nested(parts: Mapping[Path, Any]) -> Values:
    found: Values = {}
    for path, value in parts.items():
        inner = found
        for step in path[:-1]:
            inner = inner.setdefault(step, {})
        inner[path[-1]] = value
    return found
