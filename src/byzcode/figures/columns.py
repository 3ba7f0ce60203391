"""The columns of a figure's csv: what a run is, where it stands in the figure, and what is drawn of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from byzcode.studies.study import Plot


def with_levels(plot: Plot, levels: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The columns ``own`` behind one for each level, by the field of the plot (rows, columns, hue) that names its key.

    A column has the name of its key, such as ``problem.sigma_h``. Where that name is taken, by a column of the table's
    own (``seeds`` is a count) or by another field, the field comes first: ``columns.seeds``.
    """
    keys = {field: str(getattr(plot, field)) for field in levels}
    taken = Counter([*own, *keys.values()])
    return {(f"{field}.{key}" if taken[key] > 1 else key): levels[field] for field, key in keys.items()} | dict(own)
