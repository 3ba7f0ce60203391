"""Fields of a run from several sources, where later ones override earlier ones. The order of keys has no effect."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from byzcode.errors import KeyedError, component_models, one_of, shown
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.run import RunSpec

Values = dict[str, Any]
Path = tuple[str, ...]

#: The fields that have parts but no name.
PARTED = ("byzantine", "record")

#: The models of components by (field, name).
MODELS = {(head, model.__name__): model for head in COMPONENTS for model in component_models(RunSpec, head)}

_NAME: Path = ("name",)


@dataclass(frozen=True)
class Layer:
    """Fields of a run from one source: ``place`` names the source, ``fields`` maps each field to values by path.

    A component consists of its name and its options: ``attack: sign_flip`` becomes
    {"attack": {("name",): "sign_flip"}}. Other fields have an empty path: ``devices: 6`` becomes {"devices": {(): 6}}.
    """

    place: str
    fields: Mapping[str, Mapping[Path, Any]]

    @classmethod
    def of(cls, place: str, fields: Mapping[str, Any]) -> Layer:
        """The layer of a mapping of fields. Raises KeyedError if it contains two values for the same field."""
        by_head: dict[str, dict[Path, Any]] = {}
        for key in sorted(fields):
            head, *rest = key.split(".")
            parts = by_head.setdefault(head, {})
            for path, value in _unfolded(head, tuple(rest), fields[key]):
                _check_agreement(place, head, parts, path, value)
                parts[path] = value
        return cls(place, by_head)

    def at(self, head: str, *path: str, default: Any = None) -> Any:
        """The value of a path."""
        return self.fields.get(head, {}).get(path, default)

    def without(self, heads: Collection[str]) -> Layer:
        """The layer without some fields."""
        return Layer(self.place, {head: parts for head, parts in self.fields.items() if head not in heads})


def over(values: Mapping[str, Any], changes: Layer) -> Values:
    """Fields of a run, overridden by a layer; see :func:`layered`. Raises KeyedError."""
    if not changes.fields:
        return dict(values)
    below = {key: value for key, value in values.items() if key.partition(".")[0] in changes.fields}
    rest = {key: value for key, value in values.items() if key not in below}
    return rest | layered([Layer.of("the run", below), changes])


def layered(layers: Sequence[Layer]) -> Values:
    """The fields of a run from layers, each of which overrides those before it. Raises KeyedError.

    Layers override parts of ``byzantine`` and ``record`` and options of a component one by one. An option given with a
    component's name applies only if that component is used. An option given without a name applies to whichever
    component is used, which must have it.
    """
    heads = dict.fromkeys(head for layer in layers for head in layer.fields)
    return {head: _settled(head, [layer for layer in layers if head in layer.fields]) for head in heads}


def _unfolded(head: str, rest: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """The values of a key with their paths below its field. A dotted key reaches into a mapping."""
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
    """Refuse a different second value for a path, its parts or its parent (4 equals 4.0, but true is not 1)."""
    for other, present in parts.items():
        same = other == path and present == value and isinstance(present, bool) == isinstance(value, bool)
        if _related(path, other) and not same:
            other_key = ".".join((head, *other))
            raise KeyedError(
                ".".join((head, *path)), value, f"{place} also gives {other_key} = {shown(present)}; give one value"
            )


def _related(path: Path, other: Path) -> bool:
    """Whether one path is a prefix of the other."""
    length = min(len(path), len(other))
    return path[:length] == other[:length]


def _settled(head: str, layers: Sequence[Layer]) -> Any:
    """A field of a run from the layers that set it."""
    named = [layer for layer in layers if _NAME in layer.fields[head]] if head in COMPONENTS else []
    name = named[-1].fields[head][_NAME] if named else None
    parts: Mapping[Path, Any] = {}
    for layer in layers:
        given = layer.fields[head]
        if named and given.get(_NAME, name) != name:
            continue  # these options belong to a component that is not used
        if named:
            _check_options(head, name, named[-1].place, layer)
        kept = {path: value for path, value in parts.items() if not any(_related(path, new) for new in given)}
        parts = {**kept, **given}
    if () in parts:
        return parts[()]
    return name if parts.keys() == {_NAME} and isinstance(name, str) else _nested(parts)


def _check_options(head: str, name: Any, place: str, layer: Layer) -> None:
    """Refuse an option that the component lacks; the message names the sources of the option and the component."""
    model = MODELS.get((head, str(name)))
    for path, value in layer.fields[head].items() if model else ():
        if model and path[0] not in model.model_fields:
            allowed = "unknown key; " + one_of(model.model_fields, path[0])
            if layer.place != place:
                allowed += f"; {layer.place} gives it, but {place} names {name}"
            raise KeyedError(".".join((head, *path)), value, allowed)


def _nested(parts: Mapping[Path, Any]) -> Values:
    nested: Values = {}
    for path, value in parts.items():
        inner = nested
        for step in path[:-1]:
            inner = inner.setdefault(step, {})
        inner[path[-1]] = value
    return nested
