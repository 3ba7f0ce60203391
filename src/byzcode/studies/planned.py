"""A study with its runs: the runs, allocations and requests of its figures, its summary and its claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from byzcode.provenance.content import canonical, short_hash
from byzcode.specs import parts
from byzcode.studies import frozen, places
from byzcode.studies.cells import Cell, cells
from byzcode.studies.expand import Member
from byzcode.studies.fields import agrees, tolerated
from byzcode.studies.plots import Plot, axes_of
from byzcode.studies.study import LineStyle, Study


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
        return shown_of(plot, self.members)

    def by_curve(self, plot: Plot) -> list[list[Member]]:
        """The runs that a plot draws, curve by curve."""
        curves: dict[str, list[Member]] = {}
        for member in self.shown(plot):
            curves.setdefault(member.curve.label, []).append(member)
        return list(curves.values())


def shown_of(plot: Plot, members: Sequence[Member]) -> list[Member]:
    """The members that a plot draws: all, or those of its ``curves``, where they have the values of its ``where``.

    A key of ``where`` does not concern a curve without it in its grid.
    """
    chosen = getattr(plot, "curves", None)
    where = {key: tolerated(key, value) for key, value in getattr(plot, "where", {}).items()}
    return [
        member
        for member in members
        if (chosen is None or member.curve.label in chosen)
        and all(agrees(key, member.point[key], value) for key, value in where.items() if key in member.point)
    ]
