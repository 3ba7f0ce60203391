"""Fields of a run that several places give, one over another. In each of them the order of keys means nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from byzcode.errors import KeyedError, component_models, one_of, shown
from byzcode.studies.spec import COMPONENTS, RunSpec

Values = dict[str, Any]
Path = tuple[str, ...]

#: The fields that have parts and no name.
PARTED = ("byzantine", "record")

_NAME: Path = ("name",)
#: The models of components, by field and name.
MODELS = {(head, model.__name__): model for head in COMPONENTS for model in component_models(RunSpec, head)}


@dataclass(frozen=True)
class Layer:
    """What one place says of a run: ``place`` in words, and each value by its path, such as ("attack", "coefficient").

    A component is its name and its options, so ``attack: sign_flip`` is the path ("attack", "name").
    """

    place: str
    said: Mapping[Path, Any]

    @classmethod
    def of(cls, place: str, fields: Mapping[str, Any]) -> Layer:
        """The layer of a mapping of fields. Raises KeyedError where it says two things of one."""
        said: dict[Path, Any] = {}
        for key in sorted(fields):
            for path, value in _unfolded(key, fields[key]):
                if path in said and not _same(said[path], value):
                    raise KeyedError(".".join(path), value, f"{place} says {shown(said[path])} as well; say it once")
                said[path] = value
        for path, value in said.items():
            for shorter in (path[:length] for length in range(1, len(path))):
                if shorter in said:
                    key = ".".join(shorter)
                    raise KeyedError(".".join(path), value, f"{place} says {key} = {shown(said[shorter])} as well")
        return cls(place, said)

    def without(self, heads: Collection[str]) -> Layer:
        """The layer without some fields."""
        return Layer(self.place, {path: value for path, value in self.said.items() if path[0] not in heads})


def merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """``values`` with ``changes`` over them; see :func:`layered`. Raises KeyedError."""
    return layered([Layer.of("what is changed", values), Layer.of("the change", changes)])


def layered(layers: Sequence[Layer]) -> Values:
    """The fields of a run, of layers of which each outweighs those before it. Raises KeyedError.

    Parts of ``byzantine`` and ``record`` and options of a component are settled each by itself. An option that stands
    beside a name is that component's, and goes with it; one that stands alone is of whichever component is named, and
    must be an option of it.
    """
    heads = dict.fromkeys(path[0] for layer in layers for path in layer.said)
    return {head: _settled(head, [Layer(layer.place, _below(layer, head)) for layer in layers]) for head in heads}


def _unfolded(key: str, value: Any) -> Iterator[tuple[Path, Any]]:
    """The values of a key by their paths. A dotted key reaches into a mapping."""
    path = tuple(key.split("."))
    head = path[0]
    if head in COMPONENTS and len(path) == 1 and isinstance(value, str):
        yield (head, "name"), value
    elif head in (*COMPONENTS, *PARTED):
        if len(path) == 1 and not isinstance(value, Mapping):
            name = "a name, or " if head in COMPONENTS else ""
            raise KeyedError(key, value, f"expected {name}a mapping of keys to values")
        yield from _leaves(path, value)
    elif len(path) > 1 and head in RunSpec.model_fields:
        raise KeyedError(key, value, f"{head} has no parts")
    else:
        yield path, value


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key in sorted(value, key=str):
        yield from _leaves((*path, str(key)), value[key])


def _same(one: Any, other: Any) -> bool:
    """Whether two values of a file are one: 4 and 4.0 are, true and 1 are not."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _below(layer: Layer, head: str) -> dict[Path, Any]:
    return {path[1:]: value for path, value in layer.said.items() if path[0] == head}


def _settled(head: str, layers: Sequence[Layer]) -> Any:
    """One field of a run, of what each layer says below it."""
    named = [(layer.said[_NAME], layer.place) for layer in layers if _NAME in layer.said and head in COMPONENTS]
    name, place = named[-1] if named else (None, "")
    parts: dict[Path, Any] = {}
    for layer in layers:
        if named and layer.said.get(_NAME, name) != name:
            continue  # its options are of a component that is not used
        _check_options(head, name, place, layer)
        kept = {path: value for path, value in parts.items() if not any(_overlap(path, new) for new in layer.said)}
        parts = {**kept, **layer.said}
    if () in parts:
        return parts[()]
    return name if parts.keys() == {_NAME} and isinstance(name, str) else _nested(parts)


def _overlap(one: Path, other: Path) -> bool:
    """Whether one path is the other, or leads to it."""
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _check_options(head: str, name: Any, place: str, layer: Layer) -> None:
    """Refuse an option that the component does not have, and say who gives it and who names the component."""
    model = MODELS.get((head, str(name)))
    for path, value in layer.said.items() if model else ():
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
