"""Expand a study into its runs: combine the reading's defaults, the base, the grids and the curves."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from byzcode.errors import KeyedError, UserError, complain, one_of
from byzcode.provenance.content import canonical
from byzcode.specs.fields import COMPONENTS
from byzcode.specs.methods import METHODS, method_named
from byzcode.specs.parsing import in_order
from byzcode.specs.run import RunSpec
from byzcode.studies.choices import Choices
from byzcode.studies.fields import settled, tolerated, without_point
from byzcode.studies.layers import Layer, Values, layered, over
from byzcode.studies.plots import RatioPlot
from byzcode.studies.study import MOST_RUNS, Curve, Grid, Reading, Study

#: The default name of each component. With it, a study can set options of the problem without naming it.
_DEFAULT = Layer.of(
    "the default",
    {head: field.default.name for head in COMPONENTS if not (field := RunSpec.model_fields[head]).is_required()},
)


class Member(NamedTuple):
    """A run of a study, with its curve."""

    curve: Curve
    spec: RunSpec
    point: Values  # the point on the grids; if the method fixes a key, the run still appears at each of its values

    def coordinate(self, key: str) -> Any:
        """The position of the run in a figure whose panels or axis show values of ``key``."""
        value = self.point[key] if key in self.point else without_point(lookup(self.spec, key))
        return _component_words(value) if isinstance(value, Mapping) else value


def _component_words(value: Mapping[str, Any]) -> str:
    """A component as "name (option value, ...)", because values of a grid may differ only in options."""
    options = ", ".join(f"{name} {option}" for name, option in value.items() if name != "name")
    name = str(value.get("name", ""))  # byzantine and record have no name
    return f"{name} ({options})" if name and options else name or options


def expand(study: Study, reading: Reading, where: object) -> list[Member]:
    """All runs of a study. Raises UserError, which begins with ``where`` and does not depend on the order of keys."""
    _check_labels(study, where)
    _check_count(study, where)
    try:
        return _expand(study, reading, where)
    except UserError:
        _expand(_in_order(study), reading, where)
        raise


def _expand(study: Study, reading: Reading, where: object) -> list[Member]:
    try:
        choices, grid = Choices.of(reading), _settled(study.grid)
    except KeyedError as error:
        raise complain(where, error.key, error.value, error.allowed) from None
    members: list[Member] = []
    for curve in study.curves:
        place = f"{where}: curve {curve.label!r}"
        try:
            members += _of_curve(curve, Layer.of("base", study.base), grid, choices, place)
        except KeyedError as error:
            raise complain(place, error.key, error.value, error.allowed) from None
    _check_values(study, where)
    return members


def with_first_seed(members: list[Member], first: int, where: object) -> list[Member]:
    """The runs with a number added to every seed. Raises UserError if a seed becomes too large."""
    return [_later(member, first, where) for member in members] if first else members


def _later(member: Member, first: int, where: object) -> Member:
    values = member.spec.model_dump(mode="json") | {"seeds": [seed + first for seed in member.spec.seeds]}
    return member._replace(spec=RunSpec.parse(values, where))


def _in_order(study: Study) -> Study:
    curves = [
        Curve(label=curve.label, style=curve.style, grid=in_order(curve.grid), **in_order(curve.fields))
        for curve in study.curves
    ]
    return study.model_copy(update={"base": in_order(study.base), "grid": in_order(study.grid), "curves": curves})


def _settled(grid: Grid) -> Grid:
    """A grid with its values in canonical form. Raises KeyedError if a value occurs twice."""
    settled_grid = {key: [tolerated(key, value) for value in values] for key, values in grid.items()}
    for key, values in settled_grid.items():
        first: dict[str, Any] = {}
        for value, given in zip(values, grid[key], strict=True):
            text = canonical(value)
            if text in first:
                raise KeyedError(f"grid.{key}", [first[text], given], "the same value twice; each value once in a grid")
            first[text] = given
    return settled_grid


def _of_curve(curve: Curve, base: Layer, grid: Grid, choices: Choices, where: str) -> list[Member]:
    """The runs of a curve. Its grid overrides that of the study, key by key. Raises KeyedError and UserError."""
    above, inner = Layer.of("the curve", curve.fields), _settled(curve.grid)
    outer = {key: values for key, values in grid.items() if key not in inner}
    members: list[Member] = []
    first: dict[str, Member] = {}
    for shared, own in itertools.product(points(outer), points(inner)):
        layers = base, Layer.of("the grid", shared), above, Layer.of("its grid", own)
        member = Member(curve, RunSpec.parse(_values(*layers, choices), where), {**shared, **own})
        members.append(member)
        other = first.setdefault(member.spec.run_id, member)
        if other is not member:
            _check_distinct(member, other)
    return members


def _check_distinct(member: Member, other: Member) -> None:
    """Refuse two values of a grid that give the same run, unless an override explains it. Raises KeyedError."""
    curve, fixed = member.curve, METHODS[member.spec.method].fixed
    overriding = {key.partition(".")[0] for key in (*curve.fields, *curve.grid, *fixed)}
    differ = [key for key in member.point if canonical(member.point[key]) != canonical(other.point[key])]
    if not any(key.partition(".")[0] in overriding and key not in curve.grid for key in differ):
        values = [other.point[differ[0]], member.point[differ[0]]]
        raise KeyedError(f"grid.{differ[0]}", values, "the same run twice; each value once in a grid")


def _values(base: Layer, shared: Layer, curve: Layer, own: Layer, choices: Choices) -> Values:
    """The fields of one run. A method's fixed fields override base and grid, but not the curve's own fields."""
    name = next((layer.at("method") for layer in (own, curve, shared, base) if "method" in layer.fields), None)
    method = method_named(name)
    defaults, fixed = _of_method(str(name))
    below = [layer.without(method.fixed) for layer in (base, shared)]
    return choices.completed(layered([_DEFAULT, defaults, *choices.layers(str(name)), *below, fixed, curve, own]))


@cache
def _of_method(name: str) -> tuple[Layer, Layer]:
    """The default fields of a method, and its fixed fields."""
    method, place = METHODS[name], f"method {name}"
    return Layer.of(place, method.defaults), Layer.of(place, method.fixed)


def merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """``values`` overridden by ``changes``. A dotted key reaches into a mapping. Raises KeyedError."""
    return over(values, Layer.of("the change", changes))


def points(grid: Grid) -> Iterator[Values]:
    """All points of a grid: a mapping for each combination of its values."""
    for combination in itertools.product(*grid.values()):
        yield dict(zip(grid, combination, strict=True))


def lookup(spec: RunSpec, key: str) -> Any:
    """The value of a dotted key of a spec: for a component its name, for an option that does not exist None."""
    value: Any = spec.model_dump(mode="json")
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value["name"] if isinstance(value, Mapping) and "name" in value else value


def _check_values(study: Study, where: object) -> None:
    """Refuse bad values that no run uses because other fields always override them."""
    entries = [("base", key, value) for key, value in study.base.items()]
    for grid in (study.grid, *(curve.grid for curve in study.curves)):
        entries += [("grid", key, value) for key, values in grid.items() for value in values]
    for place, key, value in sorted(entries, key=lambda each: each[:2]):
        try:
            settled(key, value)
        except KeyedError as error:
            raise complain(where, f"{place}.{key}", value, error.allowed) from None


def _check_count(study: Study, where: object) -> None:
    """Refuse too many runs before expanding the grids."""
    shared = math.prod(map(len, study.grid.values()))
    runs = sum(shared * math.prod(map(len, curve.grid.values())) for curve in study.curves)
    if runs > MOST_RUNS:
        raise complain(where, "grid", list(study.grid), f"{runs} runs; allowed: at most {MOST_RUNS} in a study")


def _check_labels(study: Study, where: object) -> None:
    labels = [curve.label for curve in study.curves]
    for label, count in Counter(labels).items():
        if count > 1:
            raise complain(where, "curves.label", label, "each label once in a study")
    for name, plot in sorted(study.plots.items()):
        named = [("curves", label) for label in getattr(plot, "curves", None) or ()]
        named += [("against", plot.against)] if isinstance(plot, RatioPlot) else []
        for field, label in named:
            if label not in labels:
                raise complain(
                    where, f"plots.{name}.{field}", label, "not a curve of this study; " + one_of(labels, label)
                )
