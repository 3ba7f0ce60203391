"""The plan of a configuration: its studies with their runs, allocations and figures. Reads files; trains nothing."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from pydantic import BaseModel

from byzcode.errors import complain
from byzcode.provenance.content import canonical, short_hash
from byzcode.specs import parts
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.ids import by_id
from byzcode.specs.parsing import parse
from byzcode.specs.run import RunSpec
from byzcode.studies import frozen, measured
from byzcode.studies.checks import (
    check_claims,
    check_figure_names,
    check_levels,
    check_places,
    check_quantities,
    check_styles,
)
from byzcode.studies.choices import check
from byzcode.studies.configuration import BASE, Configuration
from byzcode.studies.expand import Member, expand, with_first_seed
from byzcode.studies.files import from_disk, inside, on_disk, or_bundled, sha256_of
from byzcode.studies.heatmaps import check_heatmap
from byzcode.studies.papers import label, order
from byzcode.studies.plain_yaml import read_yaml
from byzcode.studies.planned import PlannedStudy, shown_of
from byzcode.studies.study import LineStyle, Reading, Study
from byzcode.studies.texts import unreadable
from byzcode.studies.workflow_config import WorkflowConfig

T = TypeVar("T", bound=BaseModel)


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

    @staticmethod
    def data_sets_of(spec: RunSpec) -> list[str]:
        """The data sets of a run that need files."""
        return [name for name, known in parts.data_sets_of(spec).items() if known.files]

    @cached_property
    def data_sets(self) -> list[str]:
        """The data sets of all runs that need files."""
        return sorted({name for spec in self.runs.values() for name in self.data_sets_of(spec)})

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
        registered = {"registration": self._registration()} if self.registration.is_known else {}
        return canonical({**self._claims(), **registered, **beside, **about})

    def heldout_json(self) -> str:
        """The request for the table of verdicts on held-out seeds."""
        return canonical({**self._claims(), "registration": self._registration(), "first_seed": self.config.first_seed})

    def _claims(self) -> dict[str, Any]:
        claims = {name: short_hash(planned.claims_json()) for name, planned in self.claimed.items()}
        return {"studies": list(claims), "claims": claims}

    def _registration(self) -> dict[str, str]:
        return {"digest": self.registration.digest, "words": self.registration.words}

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
        check_styles(members, styles, style_file, path)
        studies[study.study] = PlannedStudy(study, path, members, styles)
        for name in sorted(study.plots):
            check_heatmap(studies[study.study], name)
            check_places(studies[study.study], name)
            check_quantities(studies[study.study], name)
            check_levels(studies[study.study], name)
        check_claims(studies[study.study])
    check_figure_names(studies)
    if settings.first_seed:
        studies = _with_claims_only(studies)
    return Plan(settings, reading, dict(sorted(studies.items(), key=lambda item: order(item[1].study))))


def _with_claims_only(studies: Mapping[str, PlannedStudy]) -> dict[str, PlannedStudy]:
    """The studies that test claims, with only the runs of the claims."""
    claimed = {name: planned for name, planned in studies.items() if planned.cells}
    return {name: replace(planned, members=planned.compared()) for name, planned in claimed.items()}


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


def _with_quantities(study: Study, members: Sequence[Member]) -> Study:
    """The study with a quantity in each of its plots."""
    plots = {name: measured.with_quantity(plot, shown_of(plot, members)) for name, plot in study.plots.items()}
    return study if plots == study.plots else study.model_copy(update={"plots": plots})
