"""The places of runs in a figure: the values of the keys that its plot names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from byzcode.provenance.content import canonical
from byzcode.studies.expand import Member
from byzcode.studies.study import LineStyle

#: The place of a run without the option, beside runs of its curve that have it; and the place of a null in a grid.
WITHOUT, DEFAULT = "without", "default"
#: A run without the option appears in every panel along these fields.
_PANELS = ("columns", "rows")


def curve(members: Sequence[Member], styles: Mapping[str, LineStyle], axes: Mapping[str, str]) -> dict[str, Any]:
    """The runs of a curve for the request of a figure, with their places and styles.

    The method and the style of the first run apply to all runs that do not give their own.
    """
    drawn = [
        {"method": spec.method, "style": styles[member_curve.style or spec.method].model_dump()}
        for member_curve, spec, _ in members
    ]
    runs = [
        {"run": spec.run_id, "allocation": spec.allocation_spec.allocation_id, "point": point}
        | ({} if look == drawn[0] else look)
        for (_, spec, _), look, point in zip(members, drawn, points(members, axes), strict=True)
    ]
    return {"label": members[0].curve.label, **drawn[0], "runs": runs}


def points(members: Sequence[Member], axes: Mapping[str, str]) -> list[dict[str, Any]]:
    """The places of the runs of a curve, by key. ``axes`` maps the fields of the plot to the keys that they name.

    The value is None for a run without the option; such a run appears in all panels. Along an axis or a hue, beside
    runs that have the option, it gets a place of its own.
    """
    places = [{key: _place(member, key) for key in axes.values()} for member in members]
    for field, key in axes.items():
        if field not in _PANELS and len({point[key] is None for point in places}) > 1:
            places = [point | {key: WITHOUT} if point[key] is None else point for point in places]
    return places


def taken(members: Sequence[Member], axes: Mapping[str, str]) -> list[list[str]]:
    """The places that each run of a curve occupies in a figure, as text."""
    places = points(members, axes)
    levels = {key: list(dict.fromkeys(canonical(point[key]) for point in places)) for key in axes.values()}
    nothing = canonical(None)

    def along(field: str, key: str, point: Mapping[str, Any]) -> list[str]:
        panels = [level for level in levels[key] if level != nothing]
        return panels if field in _PANELS and point[key] is None and panels else [canonical(point[key])]

    def product(point: Mapping[str, Any]) -> Iterator[str]:
        for place in itertools.product(*(along(field, key, point) for field, key in axes.items())):
            yield canonical(place)

    return [list(product(point)) for point in places]


def _place(member: Member, key: str) -> Any:
    value = member.coordinate(key)
    return DEFAULT if value is None and key in member.point else value
