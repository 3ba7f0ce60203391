"""Where runs stand in a figure: the values of the keys that its plot names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from byzcode.provenance.content import canonical
from byzcode.studies.expand import Member
from byzcode.studies.study import LineStyle

#: The place of a run that has no such option, beside runs of its curve that have it; and of a null in a grid.
WITHOUT, DEFAULT = "without", "default"
#: A run that has no such option stands in every panel.
_PANELS = ("columns", "rows")


def curve(members: Sequence[Member], styles: Mapping[str, LineStyle], axes: Mapping[str, str]) -> dict[str, Any]:
    """The runs of one curve as the request of a figure has them: which stands where, and how it is drawn.

    The method and the style of the first stand for all that do not differ.
    """
    drawn = [
        {"method": spec.method, "style": styles[one.style or spec.method].model_dump()} for one, spec, _ in members
    ]
    runs = [
        {"run": spec.run_id, "allocation": spec.allocation_spec.allocation_id, "point": point}
        | ({} if look == drawn[0] else look)
        for (_, spec, _), look, point in zip(members, drawn, points(members, axes), strict=True)
    ]
    return {"label": members[0].curve.label, **drawn[0], "runs": runs}


def points(members: Sequence[Member], axes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Where the runs of one curve stand, by key. ``axes``: the key of each field of the plot that names one.

    None where a run has no such option, and stands for all values. Along an axis or a hue it cannot, beside runs that
    have the option: there it has a place of its own.
    """
    found = [{key: _place(member, key) for key in axes.values()} for member in members]
    for field, key in axes.items():
        if field not in _PANELS and len({point[key] is None for point in found}) > 1:
            found = [point | {key: WITHOUT} if point[key] is None else point for point in found]
    return found


def taken(members: Sequence[Member], axes: Mapping[str, str]) -> list[list[str]]:
    """The places that each of the runs of one curve takes up in a figure, as text."""
    found = points(members, axes)
    levels = {key: list(dict.fromkeys(canonical(point[key]) for point in found)) for key in axes.values()}
    nothing = canonical(None)

    def along(field: str, key: str, point: Mapping[str, Any]) -> list[str]:
        panels = [level for level in levels[key] if level != nothing]
        return panels if field in _PANELS and point[key] is None and panels else [canonical(point[key])]

    def product(point: Mapping[str, Any]) -> Iterator[str]:
        for place in itertools.product(*(along(field, key, point) for field, key in axes.items())):
            yield canonical(place)

    return [list(product(point)) for point in found]


def _place(member: Member, key: str) -> Any:
    value = member.coordinate(key)
    return DEFAULT if value is None and key in member.point else value
