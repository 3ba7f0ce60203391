"""The choices of a reading, and the fields of a run that they set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from byzcode.errors import KeyedError, complain, one_of
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import method_named
from byzcode.specs.run import RunSpec
from byzcode.studies.fields import settled
from byzcode.studies.layers import MODELS, PARTED, Layer, Values
from byzcode.studies.study import Reading


class Choices:
    """Chosen values, grouped by scope: all runs, the runs of a method, or the runs with a component."""

    def __init__(self, chosen: Mapping[str, Any]) -> None:
        """Raises KeyedError if two choices contradict each other."""
        groups: dict[tuple[str, ...], Values] = {}
        for key, value in chosen.items():
            scope, inner = _split(key)
            groups.setdefault(scope, {})[inner] = value
        self.general = Layer.of("the reading", groups.pop((), {}))
        self.methods = {of[1]: groups.pop(of) for of in [*groups] if of[0] == "method"}
        self.options = groups  # by (field, name) of a component
        for (head, name), options in groups.items():
            for option, value in options.items() if self.general.at(head, "name") == name else ():
                general = self.general.at(head, option, default=value)
                if general != value:
                    raise KeyedError(f"{head}.{name}.{option}", value, f"{head} gives {general}; give one value")

    @classmethod
    def of(cls, reading: Reading) -> Choices:
        """The choices of a reading. Raises KeyedError if they contradict each other or repeat a key."""
        chosen: Values = {}
        for choice in reading.choices:
            if choice.key in chosen:
                raise KeyedError(choice.key, choice.value, "each key once in a reading")
            chosen[choice.key] = choice.value
        return cls(chosen)

    def layers(self, method: str) -> list[Layer]:
        """The defaults for fields that a study leaves out: those for all runs, then those for the method."""
        return [self.general, Layer.of("the reading", self.methods.get(method, {}))]

    def completed(self, values: Values) -> Values:
        """The fields of a run, with the reading's options for its components where no other source sets them."""
        complete = dict(values)
        for (head, name), options in self.options.items():
            given = complete.get(head, {})
            given = given if isinstance(given, Mapping) else {"name": given}
            if given.get("name") == name:
                complete[head] = {**options, **given}
        return complete


def check(reading: Reading, path: str) -> None:
    """Refuse unknown keys, values that their keys do not allow, and contradictions. Raises UserError."""
    for choice in reading.choices:
        try:
            _check_key(choice.key)
        except KeyedError as error:
            raise complain(path, "choices.key", choice.key, error.allowed) from None
        try:
            settled(*_alone(choice.key, choice.value))
        except KeyedError as error:
            raise complain(path, choice.key, choice.value, error.allowed) from None
    try:
        Choices.of(reading)
    except KeyedError as error:
        raise complain(path, error.key, error.value, error.allowed) from None


def check_set(place: str, values: Mapping[str, Any]) -> None:
    """Refuse unknown keys, values that their keys do not allow, and contradictions. Raises KeyedError.

    Keys may be those of choices or those of a run, including a single option such as ``problem.dimension``. ``place``
    is their location for the message.
    """
    for key, value in sorted(values.items()):
        try:
            if _split(key)[0]:
                _check_key(key)
            settled(*_alone(key, value))
        except KeyedError as error:
            raise KeyedError(f"{place}.{key}", value, error.allowed) from None
    try:
        Choices(values)
    except KeyedError as error:
        raise KeyedError(f"{place}.{error.key}", error.value, error.allowed) from None


def _split(key: str) -> tuple[tuple[str, ...], str]:
    """Split the key of a choice, such as ``attack.gaussian.scale`` or ``step_size``, into its scope and the rest."""
    head, _, rest = key.partition(".")
    name, _, option = rest.partition(".")
    return ((head, name), option) if option and head in ("method", *COMPONENTS) else ((), key)


def _alone(choice_key: str, value: Any) -> tuple[str, Any]:
    """The key of a run and its value that express a choice on its own."""
    scope, key = _split(choice_key)
    if not scope or scope[0] == "method":
        return key, value
    return scope[0], {"name": scope[1], key: value}


def _check_key(key: str) -> None:
    """Raises KeyedError if the key of a choice is unknown."""
    head, _, rest = key.partition(".")
    name, _, option = rest.partition(".")
    if head == "method":
        method_named(name)
        _field_of(RunSpec, option)
        return
    field = _field_of(RunSpec, head)
    if rest and head in COMPONENTS:
        models = {name: model for (of, name), model in MODELS.items() if of == head}
        if name not in models:
            raise KeyedError(key, name, "unknown name; " + one_of(models, name))
        options = [each for each in models[name].model_fields if each != "name"]
        if option not in options:
            raise KeyedError(key, option, "unknown key; " + one_of(options, option) if options else "it has no options")
    elif rest and head in PARTED:
        _field_of(field.annotation, rest)
    elif rest:
        raise KeyedError(key, head, f"{head} has no parts")


def _field_of(model: Any, name: str) -> FieldInfo:
    fields: dict[str, FieldInfo] = model.model_fields
    if name not in fields:
        raise KeyedError(name, name, "unknown key; " + one_of(fields, name))
    return fields[name]
