"""From a study to its runs: defaults of the reading, base, grids and curves, multiplied out."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from byzcode.errors import KeyedError, complain, one_of
from byzcode.methods import METHODS
from byzcode.studies.spec import COMPONENTS, RunSpec, method_named
from byzcode.studies.study import MOST_RUNS, Curve, Grid, Reading, Study

Values = dict[str, Any]

#: A study need not name the problem to set its options.
_START: Values = {"problem": RunSpec.model_fields["problem"].default.name}


class Member(NamedTuple):
    """One run of a study, and the curve to which it belongs."""

    curve: Curve
    spec: RunSpec
    point: Values  # where on the grids it stands; a method that fixes a key still stands at each of its values

    def coordinate(self, key: str) -> Any:
        """Where the run stands in a figure whose panels or axis are values of ``key``."""
        value = self.point[key] if key in self.point else lookup(self.spec, key)
        return _component_words(value) if isinstance(value, Mapping) else value


def _component_words(value: Mapping[str, Any]) -> str:
    """A component of a grid as "name (option value, ...)": options tell the values of a grid apart."""
    options = ", ".join(f"{name} {option}" for name, option in value.items() if name != "name")
    name = str(value.get("name", ""))  # byzantine and record have parts, and no name
    return f"{name} ({options})" if name and options else name or options


def expand(study: Study, reading: Reading, where: object) -> list[Member]:
    """All runs of a study. Raises UserError that begins with ``where``."""
    _check_labels(study, where)
    _check_count(study, where)
    return [
        Member(curve, RunSpec.parse(_values(study, curve, shared, own, reading, place), place), {**shared, **own})
        for curve in study.curves
        for place in (f"{where}: curve {curve.label!r}",)
        for shared in points(study.grid)
        for own in points(curve.grid)
    ]


def _values(study: Study, curve: Curve, shared: Values, own: Values, reading: Reading, where: object) -> Values:
    """The fields of one run. What a method fixes outweighs base and grid, not what the curve itself says."""
    try:
        values = merge(merge(_START, study.base), shared)
        name = {**values, **curve.fields, **own}.get("method")
        values.update(method_named(name).fixed)
        values = merge(merge(values, curve.fields), own)
        return _with_defaults({**values, "method": name}, reading)
    except KeyedError as error:
        raise complain(where, error.key, error.value, error.allowed) from None


def points(grid: Grid) -> Iterator[Values]:
    """The product of a grid: one mapping for each combination of its values."""
    for combination in itertools.product(*grid.values()):
        yield dict(zip(grid, combination, strict=True))


def merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """``values`` with ``changes`` over them. A dotted key reaches into a mapping: ``attack.coefficient``.

    A component may be a bare name; it becomes a mapping when one of its options is set.
    """
    merged = dict(values)
    for key, value in changes.items():
        head, _, rest = key.partition(".")
        merged[head] = merge(_mapping(head, merged.get(head, {})), {rest: value}) if rest else value
    return merged


def _mapping(key: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping):
        raise KeyedError(key, value, "expected a name, or a mapping of keys to values")
    return value


def lookup(spec: RunSpec, key: str) -> Any:
    """The value of a dotted key of a spec; a component stands for its name. None where it has no such option."""
    value: Any = spec.model_dump(mode="json")
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value["name"] if isinstance(value, Mapping) and "name" in value else value


def _with_defaults(values: Values, reading: Reading) -> Values:
    """The reading's choices, and then the method's, where the study says nothing."""
    complete, method = dict(values), values["method"]
    options = []
    for choice in reading.choices:
        head, _, rest = choice.key.partition(".")
        name, _, option = rest.partition(".")
        if head == "method":
            if name == method:
                complete.setdefault(option, choice.value)
        elif head in COMPONENTS and rest:
            options.append((head, name, option, choice.value))
        elif rest:
            complete[head] = {rest: choice.value, **_mapping(head, complete.get(head, {}))}
        else:
            complete.setdefault(head, choice.value)
    complete = {**METHODS[method].defaults, **complete}
    for head, name, option, value in options:  # last: the component itself may come from the reading or the method
        given = _mapping(head, complete.get(head, {}))
        if given.get("name") == name:
            complete[head] = {option: value, **given}
    return complete


def _check_count(study: Study, where: object) -> None:
    """Before the grids are multiplied out."""
    shared = math.prod(map(len, study.grid.values()))
    runs = sum(shared * math.prod(map(len, curve.grid.values())) for curve in study.curves)
    if runs > MOST_RUNS:
        raise complain(where, "grid", list(study.grid), f"{runs} runs; allowed: at most {MOST_RUNS} in a study")


def _check_labels(study: Study, where: object) -> None:
    labels = [curve.label for curve in study.curves]
    for label, count in Counter(labels).items():
        if count > 1:
            raise complain(where, "curves.label", label, "each label once in a study")
    for name, plot in study.plots.items():
        for label in getattr(plot, "curves", None) or ():
            if label not in labels:
                raise complain(
                    where, f"plots.{name}.curves", label, "not a curve of this study; " + one_of(labels, label)
                )
