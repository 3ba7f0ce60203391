"""Checks of a planned study that concern its file as a whole: styles, places, quantities, levels and claims."""

from __future__ import annotations

from collections.abc import Mapping

from byzcode.errors import KeyedError, complain, one_of
from byzcode.provenance.content import canonical
from byzcode.specs.last_part import Unit, lacking
from byzcode.studies import measured, places
from byzcode.studies.expand import Member
from byzcode.studies.planned import PlannedStudy
from byzcode.studies.plots import MOST_LEVELS, axes_of
from byzcode.studies.study import LineStyle


def check_claims(planned: PlannedStudy) -> None:
    """Check that the runs that claims compare exist. Raises UserError, as all checks."""
    try:
        _ = planned.cells
    except KeyedError as error:
        raise complain(planned.path, error.key, error.value, error.allowed) from None


def check_styles(members: list[Member], styles: Mapping[str, LineStyle], style_file: str, path: str) -> None:
    """Check that each curve has a style in the style file."""
    for curve, spec, _ in members:
        style = curve.style or spec.method
        if style not in styles:
            where = f"{path}: curve {curve.label!r}"
            raise complain(where, "style", style, f"not in {style_file}; " + one_of(styles, style))


def check_quantities(planned: PlannedStudy, name: str) -> None:
    """Check that the runs of a plot have its quantity."""
    plot = planned.study.plots[name]
    try:
        measured.check_plot(plot, planned.shown(plot))
    except KeyedError as error:
        raise complain(planned.path, f"plots.{name}.{error.key}", error.value, error.allowed) from None


def check_places(planned: PlannedStudy, name: str) -> None:
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
_AVERAGED: Mapping[str, Unit] = {
    "sweep": "iterations",
    "heatmap": "iterations",
    "price": "iterations",
    "bounds": "steps",
}


def check_levels(planned: PlannedStudy, name: str) -> None:
    """Check that the runs in a plot of levels are recorded often enough to have a level."""
    plot = planned.study.plots[name]
    for curve, spec, _ in planned.shown(plot) if plot.kind in _AVERAGED else ():
        reason = lacking(spec.record, spec.iterations, _AVERAGED[plot.kind])
        if reason is not None:
            where = f"{planned.path}: plots.{name}, curve {curve.label!r}"
            raise complain(where, "record.step", spec.record.step, reason)


def check_figure_names(studies: Mapping[str, PlannedStudy]) -> None:
    """Check that no two plots make the same file."""
    seen: dict[str, str] = {}
    for planned in studies.values():
        for plot in sorted(planned.study.plots):
            name = f"{planned.study.study}-{plot}"
            if name in seen:
                raise complain(planned.path, "plots", plot, f"figure {name} is already made by {seen[name]}")
            seen[name] = planned.path
