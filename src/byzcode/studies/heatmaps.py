"""Checks of heatmaps and prices: runs exist, columns differ, cells are readable, and seeds pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from byzcode.errors import KeyedError, complain, one_of, shown
from byzcode.provenance.content import canonical
from byzcode.studies.expand import Member
from byzcode.studies.fields import agrees, tolerated
from byzcode.studies.planned import PlannedStudy
from byzcode.studies.plots import HeatmapPlot, PricePlot

#: The most cells side by side, and the most below each other, that remain readable in a figure.
MOST_ACROSS, MOST_DOWN = 40, 100


def check_heatmap(planned: PlannedStudy, name: str) -> None:
    """Check a plot of kind ``heatmap``, and the ``where`` of any plot. Raises UserError."""
    plot = planned.study.plots[name]
    members = planned.shown(plot)
    try:
        _check_where(getattr(plot, "where", {}), planned.members)
        if not members:
            raise KeyedError("where", getattr(plot, "where", {}), "no run has these values; leave out a key")
        if isinstance(plot, HeatmapPlot):
            _check_size(plot, members)
            if plot.worst:
                _check_seeds(members, "worst", True, "; allowed: false, or the same seeds")
        if isinstance(plot, PricePlot):
            _check_seeds(members, "over", plot.over, "; allowed: the same seeds")
    except KeyedError as error:
        raise complain(planned.path, f"plots.{name}.{error.key}", error.value, error.allowed) from None


def _check_where(where: Mapping[str, Any], members: list[Member]) -> None:
    """Check that each key of ``where`` is of a grid and has the value there. Raises KeyedError, as all checks below."""
    varied = list(dict.fromkeys(key for member in members for key in member.point))
    for key, value in sorted(where.items()):
        if key not in varied:
            raise KeyedError("where", key, "not a grid key of this study; " + one_of(varied, key))
        values = {canonical(member.point[key]): member.point[key] for member in members if key in member.point}
        if not any(agrees(key, other, tolerated(key, value)) for other in values.values()):
            raise KeyedError(f"where.{key}", value, "not a value of the grid; " + one_of(map(shown, values.values())))


def _check_size(plot: HeatmapPlot, members: list[Member]) -> None:
    def levels(key: str) -> int:
        return len({canonical(member.coordinate(key)) for member in members if member.coordinate(key) is not None})

    if levels(plot.x) == 1:
        raise KeyedError("x", plot.x, "has a single value in these runs; allowed: a key with several")
    if plot.down and levels(plot.down) < 2:
        raise KeyedError("down", plot.down, "has a single value in these runs; allowed: a key with several")
    panels = [max(1, levels(key)) if key else 1 for key in (plot.columns, plot.rows)]
    curves = len({member.curve.label for member in members})
    across = panels[0] * (levels(plot.x) + plot.worst) * (curves if plot.down else 1)
    down = panels[1] * (levels(plot.down) if plot.down else curves)
    for field, cells, most in (("columns", across, MOST_ACROSS), ("rows", down, MOST_DOWN)):
        if cells > most:
            where = "side by side" if field == "columns" else "below each other"
            allowed = (
                f"{cells} cells {where}; allowed: at most {most}. Use where to split the grid into several figures"
            )
            raise KeyedError(field, getattr(plot, field), allowed)


def _check_seeds(members: list[Member], field: str, value: Any, allowed: str) -> None:
    """Check that the runs of a curve have the same seeds, because their worst case is taken seed by seed."""
    first: dict[str, Member] = {}
    for member in members:
        if member.spec.seeds != first.setdefault(member.curve.label, member).spec.seeds:
            reason = f"takes the worst run seed by seed, but runs of curve {member.curve.label!r} differ in their seeds"
            raise KeyedError(field, value, reason + allowed)
