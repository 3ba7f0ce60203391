"""The plan: every study of a configuration, its runs, its allocations, its figures. Pure reading, no training."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from byzcode.errors import KeyedError, complain, component_models, one_of
from byzcode.studies.cells import Cell, cells
from byzcode.studies.configuration import Configuration
from byzcode.studies.expand import Member, expand
from byzcode.studies.files import brought_along, from_disk, inside, on_disk
from byzcode.studies.identity import canonical, short_hash
from byzcode.studies.plain_yaml import read_yaml
from byzcode.studies.spec import COMPONENTS, AllocationSpec, RunSpec, method_named, parse
from byzcode.studies.study import (
    MOST_LEVELS,
    Axis,
    LineStyle,
    Plot,
    Reading,
    Study,
    WorkflowConfig,
)

#: Figures are asked for by these keys of a RunSpec, whatever the kind of plot.
PANEL_KEYS = ("columns", "rows", "hue", "x")

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class PlannedStudy:
    """A study, the file that holds it, and its runs."""

    study: Study
    path: str
    members: list[Member]
    styles: Mapping[str, LineStyle]

    @property
    def trained(self) -> bool:
        """Whether any of its figures needs trainings."""
        return any(plot.kind != "allocation" for plot in self.study.plots.values())

    def run_ids(self, plot: str | None = None) -> list[str]:
        """The distinct runs of the study, or of one of its plots, in the order of the file."""
        members = self.members if plot is None else self.shown(self.study.plots[plot])
        return list(dict.fromkeys(member.spec.run_id for member in members))

    @cached_property
    def cells(self) -> list[Cell]:
        """The tests of its claims."""
        return cells(self.study, self.members)

    def claims_json(self) -> str:
        """What the evidence for its claims depends on beside the stored results."""
        return canonical(
            {
                "study": self.study.study,
                "title": self.study.title,
                "cells": [cell.request() for cell in self.cells],
            }
        )

    def allocation_ids(self, plot: str) -> list[str]:
        """The distinct allocations of one of its plots."""
        members = self.shown(self.study.plots[plot])
        return list(dict.fromkeys(member.spec.allocation_spec.allocation_id for member in members))

    def summary_json(self) -> str:
        """What the summary depends on: the runs, and no label."""
        return canonical({"study": self.study.study, "runs": self.run_ids()})

    def figure_json(self, name: str) -> str:
        """What a figure depends on beside the stored results: plot, labels, styles, and which run goes where."""
        plot = self.study.plots[name]
        keys = [key for key in (getattr(plot, field, None) for field in PANEL_KEYS) if key]
        curves: dict[str, dict[str, Any]] = {}
        for member in self.shown(plot):
            curve, spec, _ = member
            style = self.styles[curve.style or spec.method]
            drawn = curves.setdefault(
                curve.label,
                {"label": curve.label, "method": spec.method, "style": style.model_dump(), "runs": []},
            )
            point = {key: member.coordinate(key) for key in keys}
            drawn["runs"].append({"run": spec.run_id, "allocation": spec.allocation_spec.allocation_id, "point": point})
        read = {"summary": short_hash(self.summary_json())} if plot.kind == "sweep" else {}
        return canonical(
            {
                **read,
                "study": self.study.study,
                "title": self.study.title,
                "paper": self.study.paper and self.study.paper.model_dump(),
                "plot": plot.model_dump(),
                "curves": list(curves.values()),
            }
        )

    def shown(self, plot: Plot) -> list[Member]:
        """The runs that a plot draws."""
        chosen = getattr(plot, "curves", None)
        return [member for member in self.members if chosen is None or member.curve.label in chosen]


@dataclass(frozen=True)
class Plan:
    """All that a configuration asks for."""

    config: WorkflowConfig
    reading: Reading
    studies: dict[str, PlannedStudy]

    @cached_property
    def runs(self) -> dict[str, RunSpec]:
        """The runs by id; a run that several studies share is here once."""
        return {
            member.spec.run_id: member.spec
            for planned in self.studies.values()
            if planned.trained
            for member in planned.members
        }

    @cached_property
    def allocations(self) -> dict[str, AllocationSpec]:
        """The allocations by id."""
        specs = [member.spec.allocation_spec for planned in self.studies.values() for member in planned.members]
        return {spec.allocation_id: spec for spec in specs}

    @cached_property
    def claimed(self) -> dict[str, PlannedStudy]:
        """The studies that test claims."""
        return {name: planned for name, planned in self.studies.items() if planned.cells}

    def scorecard_json(self) -> str:
        """What the scorecard depends on beside the stored results: studies, and the claims that they are to hold."""
        claims = {name: short_hash(planned.claims_json()) for name, planned in self.claimed.items()}
        return canonical({"studies": list(claims), "claims": claims, "reading": self.reading.title})

    @cached_property
    def figures(self) -> dict[str, tuple[PlannedStudy, str]]:
        """The figures by file name, ``study-plot``: the study and the name of the plot."""
        return {
            f"{name}-{plot}": (planned, plot) for name, planned in self.studies.items() for plot in planned.study.plots
        }


def load_plan(config: Mapping[str, Any], where: str | Callable[[str], str] = "config/config.yaml") -> Plan:
    """The plan of a configuration. Paths in it are relative to the working directory. Raises UserError.

    ``where`` is the file that messages name, or a function that gives it for a key.
    """
    settings = parse(WorkflowConfig, config, where)
    standing = where if callable(where) else lambda key: where
    for key in ("reading", "style", "multiverse", "results"):
        inside(getattr(settings, key), standing(key), key)
    reading_file, style_file = brought_along(settings.reading), brought_along(settings.style)
    reading = load(Reading, reading_file)
    _check_choices(reading, reading_file)
    styles = {
        name: parse(LineStyle, _mapping(value, style_file, name), f"{style_file}: {name}")
        for name, value in read_yaml(style_file).items()
    }
    studies: dict[str, PlannedStudy] = {}
    for path in _study_files(settings.studies, standing("studies")):
        study = load(Study, path)
        if study.study in studies:
            other = studies[study.study].path
            raise complain(path, "study", study.study, f"already the name of {other}; each name once")
        members = expand(study, reading, path)
        _check_styles(members, styles, style_file, path)
        studies[study.study] = PlannedStudy(study, path, members, styles)
        for name in study.plots:
            _check_places(studies[study.study], name)
        _check_claims(studies[study.study])
    _check_figure_names(studies)
    return Plan(settings, reading, studies)


def _check_claims(planned: PlannedStudy) -> None:
    try:
        _ = planned.cells
    except KeyedError as error:
        raise complain(planned.path, error.key, error.value, error.allowed) from None


def load_plan_file(*given: str) -> Plan:
    """The plan of config/config.yaml with some files laid over it, as Snakemake reads them. Raises UserError."""
    configuration = Configuration.read(given)
    return load_plan(configuration.values, configuration.where)


def load(model: type[T], path: str) -> T:
    """A validated YAML file. Raises UserError."""
    return parse(model, read_yaml(path), path)


def _mapping(value: Any, path: str, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise complain(path, key, value, "expected a mapping of keys to values")
    return value


def _study_files(patterns: list[str], where: object) -> list[str]:
    files: list[str] = []
    for pattern in patterns:
        inside(pattern, where, "studies")
        found = sorted(from_disk(path) for path in glob.glob(on_disk(pattern)))
        if not found:
            raise complain(where, "studies", pattern, "no such file")
        files += [inside(path, where, "studies") for path in found]
    return list(dict.fromkeys(files))


def _check_styles(members: list[Member], styles: Mapping[str, LineStyle], style_file: str, path: str) -> None:
    for curve, spec, _ in members:
        style = curve.style or spec.method
        if style not in styles:
            where = f"{path}: curve {curve.label!r}"
            raise complain(where, "style", style, f"not in {style_file}; " + one_of(styles, style))


def _check_places(planned: PlannedStudy, name: str) -> None:
    """A plot's keys are those of its runs, and no two runs of a curve stand in one place of it."""
    plot = planned.study.plots[name]
    members = planned.shown(plot)
    axes = {field: key for field in PANEL_KEYS if (key := getattr(plot, field, None)) and key not in get_args(Axis)}
    for field, key in axes.items():
        if all(member.coordinate(key) is None for member in members):
            raise complain(planned.path, f"plots.{name}.{field}", key, "no run of this study has this key")
        if field in MOST_LEVELS:
            found, most = len({canonical(member.coordinate(key)) for member in members}), MOST_LEVELS[field]
            if found > most:
                raise complain(planned.path, f"plots.{name}.{field}", key, f"{found} values; allowed: at most {most}")
    if plot.kind == "allocation":
        return
    places: dict[str, Member] = {}
    for member in members:
        place = canonical([member.curve.label, *(member.coordinate(key) for key in axes.values())])
        other = places.setdefault(place, member)
        if other.spec.run_id != member.spec.run_id:
            differ = [key for key in member.point if member.coordinate(key) != other.coordinate(key)]
            raise complain(
                planned.path,
                f"plots.{name}",
                ", ".join(differ),
                f"runs of curve {member.curve.label!r} differ in it and stand in one place: "
                "name it as columns, rows, hue or x",
            )


def _check_figure_names(studies: Mapping[str, PlannedStudy]) -> None:
    seen: dict[str, str] = {}
    for planned in studies.values():
        for plot in planned.study.plots:
            name = f"{planned.study.study}-{plot}"
            if name in seen:
                raise complain(planned.path, "plots", plot, f"figure {name} is already made by {seen[name]}")
            seen[name] = planned.path


def _check_choices(reading: Reading, path: str) -> None:
    for choice in reading.choices:
        try:
            field = _field_of(choice.key)
        except KeyedError as error:
            raise complain(path, "choices.key", choice.key, error.allowed) from None
        try:
            wanted: Any = Annotated[(field.annotation, *field.metadata, None)]
            TypeAdapter(wanted).validate_python(choice.value)
        except ValidationError as error:
            message = error.errors()[0]["msg"]
            raise complain(path, choice.key, choice.value, message[:1].lower() + message[1:]) from None


def _field_of(key: str) -> FieldInfo:
    """The field that the key of a choice names. Raises KeyedError where there is none."""
    head, _, rest = key.partition(".")
    name, _, option = rest.partition(".")
    if head == "method":
        method_named(name)
        return _named_field(RunSpec, option)
    field = _named_field(RunSpec, head)
    if not rest:
        return field
    if head in COMPONENTS:
        models = {model.__name__: model for model in component_models(RunSpec, head)}
        if name not in models:
            raise KeyedError(key, name, "unknown name; " + one_of(models, name))
        return _named_field(models[name], option)
    inner = field.annotation
    if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
        raise KeyedError(key, head, f"{head} has no parts")
    return _named_field(inner, rest)


def _named_field(model: type[BaseModel], name: str) -> FieldInfo:
    if name not in model.model_fields:
        raise KeyedError(name, name, "unknown key; " + one_of(model.model_fields, name))
    return model.model_fields[name]
