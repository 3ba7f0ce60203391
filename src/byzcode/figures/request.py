"""The request for a figure, and the panel of each run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Self, overload

from pydantic import AfterValidator, Field, model_validator

from byzcode.errors import KeyedError, UserError
from byzcode.specs.methods import METHODS, method_named
from byzcode.specs.strict import Strict
from byzcode.studies.names import Key, Label, Line, Name, Value
from byzcode.studies.plots import Plot, axes_of
from byzcode.studies.requests import Id
from byzcode.studies.study import LineStyle, Paper

#: The methods whose paper writes d, the number of tasks per device, for the redundancy.
OF_TASKS = frozenset({"lad", "com_lad"})
#: How figures of these methods name the redundancy, and figures of these and others.
TASKS, EITHER = "tasks", "redundancy_or_tasks"


def _known(method: str) -> str:
    method_named(method)
    return method


def _scalar(value: Any) -> Any:
    """A list (of seeds) as text, because a level of a figure must be a single value."""
    if not isinstance(value, list):
        return value
    numbers = len(value) > 1 and all(isinstance(each, int) for each in value)
    if numbers and value == list(range(value[0], value[0] + len(value))):
        return f"{value[0]} to {value[-1]}"
    return ", ".join(map(str, value))


class Run(Strict):
    """A stored run, and its place: the values of the keys that the plot names."""

    run: Id
    allocation: Id
    method: Annotated[str, AfterValidator(_known)]
    style: LineStyle
    point: dict[Key, Annotated[Value, AfterValidator(_scalar)]]

    @property
    def is_floor(self) -> bool:
        """Whether it uses the true gradient, and so ends far below what any rule reaches."""
        return METHODS[self.method].server == "true_gradient"

    def fixes(self, key: str) -> bool:
        """Whether its method fixes a key."""
        return key.split(".")[0] in METHODS[self.method].fixed


class Look(NamedTuple):
    """An entry of a legend: its label, its style, and the methods of the runs drawn in that style."""

    label: str
    style: LineStyle
    methods: frozenset[str]


class Curve(Strict):
    """A curve: its label and its runs, and the method and style of the runs that do not give their own."""

    label: Label
    method: Annotated[str, AfterValidator(_known)]
    style: LineStyle
    runs: Annotated[tuple[Run, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """Fill in the method and style of each run."""
        if not isinstance(values, Mapping) or not isinstance(values.get("runs"), list | tuple):
            return values
        own = {key: values[key] for key in ("method", "style") if key in values}
        return {**values, "runs": [own | run if isinstance(run, dict) else run for run in values["runs"]]}

    @property
    def looks(self) -> list[Look]:
        """Its entries in a legend: a single one, or one per method if methods are drawn in different styles."""
        styles = {run.method: run.style for run in self.runs}
        if len(distinct(styles.values())) == 1:
            return [Look(self.label, self.runs[0].style, frozenset(styles))]
        return [
            Look(f"{self.label}: {METHODS[method].title}", style, frozenset([method]))
            for method, style in styles.items()
        ]

    def varies_with(self, key: str | None) -> bool:
        """Whether runs differ between values of a key; a method that fixes the key has the same run at all values."""
        if key is None:
            return False
        levels = distinct(run.point[key] for run in self.runs)
        return len(distinct({run.run for run in self.runs if run.point[key] == level} for level in levels)) > 1


#: An entry of a component or a method with its words, see :mod:`byzcode.specs.parts`.
EntryName = Annotated[str, Field(pattern=r"^byzcode(\.\w+)+:\w+(\[\w+\])?\*$")]


class Request(Strict):
    """The JSON that ``PlannedStudy.figure_json`` writes."""

    study: Name
    title: Line
    paper: Paper | None
    plot: Plot
    curves: Annotated[tuple[Curve, ...], Field(min_length=1)]
    summary: Id | None = None  # the hash of the summary's request, if the figure reads a summary
    entries: tuple[EntryName, ...] = ()  # the entries of its components whose words it shows

    @model_validator(mode="after")
    def _complete(self) -> Self:
        keys = set(axes_of(self.plot).values())
        for number, curve in enumerate(self.curves):
            if curve.label in [other.label for other in self.curves[:number]]:
                raise KeyedError(f"curves[{number}].label", curve.label, "each label once")
            for place, run in enumerate(curve.runs):
                if run.point.keys() != keys:
                    allowed = f"a value for each key of the plot, {', '.join(sorted(keys)) or 'which has none'}"
                    raise KeyedError(f"curves[{number}].runs[{place}].point", run.point, allowed)
        return self

    @property
    def heading(self) -> str:
        """The title of the figure: that of the plot, or of the study."""
        return self.plot.title or self.title

    @overload
    def shown(self, key: str) -> str: ...
    @overload
    def shown(self, key: None) -> None: ...
    def shown(self, key: str | None) -> str | None:
        """A key as this figure names it: the redundancy of LAD is its number of tasks, d."""
        if key != "redundancy":
            return key
        curves = [curve for curve in self.curves if curve.varies_with(key)] or self.curves
        methods = {run.method for curve in curves for run in curve.runs if METHODS[run.method].coded}
        if not methods & OF_TASKS:
            return key
        return TASKS if methods <= OF_TASKS else EITHER


@dataclass(frozen=True)
class Facets:
    """The panels along a key of a RunSpec: one per level, or a single panel without a key.

    A curve is in ``everywhere`` if it has a single value of the key where others have several, or if its method fixes
    the key. It is drawn in each panel for comparison.
    """

    key: str | None
    levels: tuple[Any, ...]
    everywhere: frozenset[str]

    @classmethod
    def of(cls, curves: Sequence[Curve], key: str | None) -> Facets:
        """The panels for some curves."""
        if key is None:
            return cls(None, (None,), frozenset())
        values = {curve.label: distinct(run.point[key] for run in curve.runs) for curve in curves}
        several = any(len(levels) > 1 for levels in values.values())
        everywhere = frozenset(
            curve.label
            for curve in curves
            if len(values[curve.label]) == 1
            and (several or values[curve.label] == [None] or all(run.fixes(key) for run in curve.runs))
        )
        varying = (levels for label, levels in values.items() if label not in everywhere)
        levels = distinct(level for own in varying for level in own)
        shown = in_order(level for level in levels if level is not None) or [None]
        return cls(key, tuple(shown), everywhere)

    def level(self, field: str, level: Any) -> dict[str, Any]:
        """The level of a panel, by the field of the plot that names its key; empty without a key."""
        return {} if self.key is None else {field: level}

    def holds(self, curve: Curve, run: Run, level: Any) -> bool:
        """Whether a run belongs in the panel of a level."""
        if self.key is None or level is None or curve.label in self.everywhere:
            return True
        return run.point[self.key] is None or bool(run.point[self.key] == level)


def distinct(values: Iterable[Any]) -> list[Any]:
    """The values without duplicates, in the order of their first appearance. They need not be hashable."""
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def in_order(levels: Iterable[Any]) -> list[Any]:
    """Numbers in ascending order; other values in their given order."""
    listed = list(levels)
    return sorted(listed) if all(isinstance(level, int | float) for level in listed) else listed


def only_run(curve: Curve, runs: Iterable[Run], where: str) -> Run | None:
    """The only run of a curve at a place of a figure, or None. Raises UserError if there are several."""
    by_id = {run.run: run for run in runs}
    if len(by_id) > 1:
        raise UserError(
            f"{where}: curve {curve.label!r} has {len(by_id)} runs in one place of the figure ({', '.join(by_id)}); "
            "name the key in which they differ as its columns, rows, hue or x"
        )
    return next(iter(by_id.values()), None)
