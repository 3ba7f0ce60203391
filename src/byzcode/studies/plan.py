"""The plan of a configuration: its studies with their runs, allocations and figures. Reads files; trains nothing."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel

from byzcode.errors import KeyedError, complain, one_of
from byzcode.provenance.content import canonical, short_hash
from byzcode.specs import parts
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.ids import by_id
from byzcode.specs.last_part import Unit, lacking
from byzcode.specs.parsing import parse
from byzcode.specs.run import RunSpec
from byzcode.studies import frozen, measured, places
from byzcode.studies.cells import Cell, cells
from byzcode.studies.choices import check
from byzcode.studies.configuration import BASE, Configuration
from byzcode.studies.expand import Member, expand, with_first_seed
from byzcode.studies.files import from_disk, inside, on_disk, or_bundled, sha256_of
from byzcode.studies.papers import label, order
from byzcode.studies.plain_yaml import read_yaml
from byzcode.studies.study import (
    MOST_LEVELS,
    LineStyle,
    Plot,
    Reading,
    Study,
    WorkflowConfig,
    axes_of,
)
from byzcode.studies.texts import unreadable

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class PlannedStudy:
    """A study with its file, its runs and the styles."""

    study: Study
    path: str
    members: list[Member]
    styles: Mapping[str, LineStyle]

    @property
    def trained(self) -> bool:
        """Whether any figure of the study needs trainings."""
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
        """The request for its claims: everything that the evidence depends on except stored results."""
        return canonical(
            {
                "study": self.study.study,
                "title": self.study.title,
                "cells": [{**cell.request(), "tested": frozen.hash_of(cell)} for cell in self.cells],
            }
        )

    def compared(self) -> list[Member]:
        """The runs that its claims compare."""
        sides = [(*cell.runs, *cell.against) for cell in self.cells]
        runs = {member.spec.run_id for side in sides for member in side}
        return [member for member in self.members if member.spec.run_id in runs]

    def allocation_ids(self, plot: str) -> list[str]:
        """The distinct allocations of one of its plots."""
        members = self.shown(self.study.plots[plot])
        return list(dict.fromkeys(member.spec.allocation_spec.allocation_id for member in members))

    def summary_json(self) -> str:
        """The request for its summary: the runs, but no labels."""
        return canonical({"study": self.study.study, "runs": self.run_ids()})

    def figure_json(self, name: str) -> str:
        """The request for a figure: plot, labels, styles and the place of each run; not stored results."""
        plot = self.study.plots[name]
        curves = [places.curve(own, self.styles, axes_of(plot)) for own in self.by_curve(plot)]
        read = {"summary": short_hash(self.summary_json())} if plot.kind == "sweep" else {}
        return canonical(
            {
                **read,
                "study": self.study.study,
                "title": self.study.title,
                "paper": self.study.paper and self.study.paper.model_dump(),
                "plot": plot.model_dump(),
                "curves": curves,
                "entries": parts.drawn(member.spec for member in self.shown(plot)),
            }
        )

    def shown(self, plot: Plot) -> list[Member]:
        """The runs that a plot draws."""
        return _shown(plot, self.members)

    def by_curve(self, plot: Plot) -> list[list[Member]]:
        """The runs that a plot draws, curve by curve."""
        curves: dict[str, list[Member]] = {}
        for member in self.shown(plot):
            curves.setdefault(member.curve.label, []).append(member)
        return list(curves.values())


@dataclass(frozen=True)
class Plan:
    """Everything that a configuration requests. The studies are in the order of the papers."""

    config: WorkflowConfig
    reading: Reading
    studies: dict[str, PlannedStudy]

    @cached_property
    def runs(self) -> dict[str, RunSpec]:
        """The runs by id; runs shared by several studies appear once."""
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

    @property
    def held_out(self) -> bool:
        """Whether only the claims are tested, on held-out seeds."""
        return self.config.first_seed > 0

    @property
    def summarised(self) -> list[str]:
        """The studies with a summary."""
        return [name for name, planned in self.studies.items() if planned.trained and not self.held_out]

    @cached_property
    def registration(self) -> frozen.Registration:
        """The hashes of the claims, and the registered ones."""
        hashes = {name: frozen.hash_of_all(planned.cells) for name, planned in self.claimed.items()}
        return frozen.Registration(hashes, frozen.read(self.config.registered))

    def scorecard_json(self) -> str:
        """The request for the scorecard: studies, hashes of their claims and of figures; not stored results."""
        labels = {name: label(planned.study) for name, planned in self.claimed.items()}
        figures = {
            name: short_hash(planned.figure_json(plot)) for name, (planned, plot) in self.figures_of_claims.items()
        }
        about = {"reading": self.reading.title, "labels": labels, "figures": figures}
        shown = sha256_of(self.config.heldout)
        beside = {"heldout": {"table": self.config.heldout, "sha256": shown}} if shown else {}
        return canonical({**self._claims(), **beside, **about})

    def heldout_json(self) -> str:
        """The request for the table of verdicts on held-out seeds."""
        return canonical({**self._claims(), "first_seed": self.config.first_seed})

    def _claims(self) -> dict[str, Any]:
        claims = {name: short_hash(planned.claims_json()) for name, planned in self.claimed.items()}
        about = {"digest": self.registration.digest, "words": self.registration.words}
        return {"studies": list(claims), "claims": claims, "registration": about}

    def unreadable(self) -> list[str]:
        """A message for each text of a figure that contains letters that no installed font has."""
        return [message for planned in self.studies.values() for message in unreadable(planned.study, planned.path)]

    @cached_property
    def figures(self) -> dict[str, tuple[PlannedStudy, str]]:
        """The figures by file name, ``study-plot``: the study and the name of the plot."""
        studies = {} if self.held_out else self.studies
        return {f"{name}-{plot}": (planned, plot) for name, planned in studies.items() for plot in planned.study.plots}

    @cached_property
    def figures_of_claims(self) -> dict[str, tuple[PlannedStudy, str]]:
        """The figures that show claims."""
        return {
            name: (planned, plot)
            for name, (planned, plot) in self.figures.items()
            if any(getattr(claim, "figure", None) == plot for claim in planned.study.claims)
        }


def load_plan(config: Mapping[str, Any], where: str | Callable[[str], str] = BASE) -> Plan:
    """The plan of a configuration, with paths relative to the working directory. Raises UserError.

    Messages begin with ``where``: the configuration file, or a function from a key to its file.
    """
    where = where or BASE
    settings = parse(WorkflowConfig, config, where)
    place_of = where if callable(where) else lambda key: where
    for key in ("reading", "style", "multiverse", "results", "registered", "heldout"):
        inside(getattr(settings, key), place_of(key), key)
    reading_file, style_file = or_bundled(settings.reading), or_bundled(settings.style)
    reading = load(Reading, reading_file)
    check(reading, reading_file)
    styles = {
        name: parse(LineStyle, _mapping(value, style_file, name), f"{style_file}: {name}")
        for name, value in read_yaml(style_file).items()
    }
    studies: dict[str, PlannedStudy] = {}
    runs: dict[str, RunSpec] = {}
    allocations: dict[str, AllocationSpec] = {}
    for path in _study_files(settings.studies, place_of("studies")):
        study = load(Study, path)
        if study.study in studies:
            other = studies[study.study].path
            raise complain(path, "study", study.study, f"already the name of the study in {other}; each name once")
        members = with_first_seed(expand(study, reading, path), settings.first_seed, path)
        by_id((member.spec for member in members), path, runs)
        by_id((member.spec.allocation_spec for member in members), path, allocations)
        study = _with_quantities(study, members)
        _check_styles(members, styles, style_file, path)
        studies[study.study] = PlannedStudy(study, path, members, styles)
        for name in sorted(study.plots):
            _check_places(studies[study.study], name)
            _check_quantities(studies[study.study], name)
            _check_levels(studies[study.study], name)
        _check_claims(studies[study.study])
    _check_figure_names(studies)
    if settings.first_seed:
        studies = _with_claims_only(studies)
    return Plan(settings, reading, dict(sorted(studies.items(), key=lambda item: order(item[1].study))))


def _with_claims_only(studies: Mapping[str, PlannedStudy]) -> dict[str, PlannedStudy]:
    """The studies that test claims, with only the runs of the claims."""
    claimed = {name: planned for name, planned in studies.items() if planned.cells}
    return {name: replace(planned, members=planned.compared()) for name, planned in claimed.items()}


def _check_claims(planned: PlannedStudy) -> None:
    try:
        _ = planned.cells
    except KeyedError as error:
        raise complain(planned.path, error.key, error.value, error.allowed) from None


def load_plan_file(*given: str) -> Plan:
    """The plan of config/config.yaml, overridden by the given files as in Snakemake. Raises UserError."""
    configuration = Configuration.read(given)
    return load_plan(configuration.values, configuration.where)


def load(model: type[T], path: str) -> T:
    """Read and validate a YAML file. Raises UserError."""
    return parse(model, read_yaml(path), path)


def _mapping(value: Any, path: str, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise complain(path, key, value, "expected a mapping of keys to values")
    return value


def _study_files(patterns: list[str], where: object) -> list[str]:
    files: list[str] = []
    for pattern in patterns:
        inside(pattern, where, "studies")
        matches = sorted(from_disk(path) for path in glob.glob(on_disk(pattern)))
        if not matches:
            raise complain(where, "studies", pattern, "no such file")
        files += [inside(path, where, "studies") for path in matches]
    return list(dict.fromkeys(files))


def _check_styles(members: list[Member], styles: Mapping[str, LineStyle], style_file: str, path: str) -> None:
    for curve, spec, _ in members:
        style = curve.style or spec.method
        if style not in styles:
            where = f"{path}: curve {curve.label!r}"
            raise complain(where, "style", style, f"not in {style_file}; " + one_of(styles, style))


def _shown(plot: Plot, members: Sequence[Member]) -> list[Member]:
    chosen = getattr(plot, "curves", None)
    return [member for member in members if chosen is None or member.curve.label in chosen]


def _with_quantities(study: Study, members: Sequence[Member]) -> Study:
    """The study with a quantity in each of its plots."""
    plots = {name: measured.with_quantity(plot, _shown(plot, members)) for name, plot in study.plots.items()}
    return study if plots == study.plots else study.model_copy(update={"plots": plots})


def _check_quantities(planned: PlannedStudy, name: str) -> None:
    """Check that the runs of a plot have its quantity."""
    plot = planned.study.plots[name]
    try:
        measured.check_plot(plot, planned.shown(plot))
    except KeyedError as error:
        raise complain(planned.path, f"plots.{name}.{error.key}", error.value, error.allowed) from None


def _check_places(planned: PlannedStudy, name: str) -> None:
    """Check that runs have the keys of a plot, and that no two runs of a curve share a place in it."""
    plot = planned.study.plots[name]
    members = planned.shown(plot)
    axes = axes_of(plot)
    for field, key in axes.items():
        if all(member.coordinate(key) is None for member in members):
            raise complain(planned.path, f"plots.{name}.{field}", key, "no run of this study has this key")
        if field in MOST_LEVELS:
            count, most = len({canonical(member.coordinate(key)) for member in members}), MOST_LEVELS[field]
            if count > most:
                raise complain(planned.path, f"plots.{name}.{field}", key, f"{count} values; allowed: at most {most}")
    if plot.kind == "allocation":
        return
    for own in planned.by_curve(plot):
        occupied: dict[str, Member] = {}
        for member, taken in zip(own, places.taken(own, axes), strict=True):
            for place in taken:
                other = occupied.setdefault(place, member)
                if other.spec.run_id != member.spec.run_id:
                    _refuse_place(planned, name, member, other)


def _refuse_place(planned: PlannedStudy, name: str, member: Member, other: Member) -> None:
    """Raise UserError for two runs of a curve in the same place."""
    differ = [key for key in sorted(member.point) if member.coordinate(key) != other.coordinate(key)]
    raise complain(
        planned.path,
        f"plots.{name}",
        ", ".join(differ),
        f"runs of curve {member.curve.label!r} differ in this key but share a place: use it as columns, rows, hue or x",
    )


#: The average over the last fifth that each kind of plot of a level uses.
_AVERAGED: Mapping[str, Unit] = {"sweep": "iterations", "bounds": "steps"}


def _check_levels(planned: PlannedStudy, name: str) -> None:
    """Check that the runs in a plot of levels are recorded often enough to have a level."""
    plot = planned.study.plots[name]
    for curve, spec, _ in planned.shown(plot) if plot.kind in _AVERAGED else ():
        reason = lacking(spec.record, spec.iterations, _AVERAGED[plot.kind])
        if reason is not None:
            where = f"{planned.path}: plots.{name}, curve {curve.label!r}"
            raise complain(where, "record.step", spec.record.step, reason)


def _check_figure_names(studies: Mapping[str, PlannedStudy]) -> None:
    seen: dict[str, str] = {}
    for planned in studies.values():
        for plot in sorted(planned.study.plots):
            name = f"{planned.study.study}-{plot}"
            if name in seen:
                raise complain(planned.path, "plots", plot, f"figure {name} is already made by {seen[name]}")
            seen[name] = planned.path
