"""The columns of a figure's CSV file: the run, its place in the figure, and the drawn data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from byzcode.studies.plots import Plot


def with_levels(plot: Plot, levels: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A column for each level, followed by the columns ``own``. ``levels`` are by field (rows, columns, hue).

    A column is named after its key, such as ``problem.sigma_h``. If that name is taken, by a column of ``own``
    (``seeds`` is a count) or by another field, the field is put before it: ``columns.seeds``.
    """
    keys = {field: str(getattr(plot, field)) for field in levels}
    taken = Counter([*own, *keys.values()])
    return {(f"{field}.{key}" if taken[key] > 1 else key): levels[field] for field, key in keys.items()} | dict(own)
