"""The summary of the scorecard: verdicts counted over all tests, by kind and by study, with all ratios on one axis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from byzcode.scorecard import words
from byzcode.scorecard.axis import Axis
from byzcode.scorecard.table import KINDS, OTHER_VERDICTS, counts

#: What each kind of claim is.
MEANINGS = {
    "empirical": "only a run can tell",
    "law": "follows from scale equivariance",
    "identity": "true by construction or by arithmetic",
    "control": "shows whether a test tells methods apart",
    "chosen": "holds because a value was chosen so",
}


@dataclass(frozen=True)
class Row:
    """A row: its verdicts, and its ratios as places on the axis with their verdicts."""

    label: str
    title: str
    study: str  # empty for rows that are not about one study
    counts: Mapping[str, int]
    fragile: int
    others: Mapping[str, int]  # how many cells have the same verdict under another condition
    points: Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Overview:
    """The rows of the summary, and the axis of the ratios; None without ratios."""

    totals: Sequence[Row]
    studies: Sequence[Row]
    axis: Axis | None


def overview(cells: pd.DataFrame, axis: Axis | None, studies: Mapping[str, Mapping[str, Any]]) -> Overview:
    """The summary of all cells; ``studies`` has the label and title of each study."""
    by_study = [
        _row(study["label"], study["title"], cells[cells["study"] == name], axis, name)
        for name, study in studies.items()
    ]
    return Overview([*_totals(cells)], by_study, axis)


def _totals(cells: pd.DataFrame) -> Iterator[Row]:
    """A row per kind, empirical claims first, because a claim that is true by construction is no evidence."""
    for kind in KINDS:
        own = cells[cells["kind"] == kind]
        if len(own):
            yield _row(kind, MEANINGS[kind], own, None)
        if kind == "empirical":
            yield _row("stated", "empirical, by a source", own[own["mark"] == "stated"], None)
    yield _row("all", "", cells, None)


def _row(label: str, title: str, cells: pd.DataFrame, axis: Axis | None, study: str = "") -> Row:
    ratios = cells[cells["unit"].map(words.kind_of_effect) == words.RATIO] if axis else cells.iloc[:0]
    ratios = ratios[ratios["effect"].notna()]
    return Row(
        label,
        title,
        study,
        counts(cells),
        int((cells["fragile"] != "").sum()),
        {name: int((cells[name] == cells["verdict"]).sum()) for name in OTHER_VERDICTS},
        _points(ratios, axis) if axis else (),
    )


def _points(cells: pd.DataFrame, axis: Axis) -> list[tuple[float, str]]:
    return [(axis.at(effect), verdict) for effect, verdict in zip(cells["effect"], cells["verdict"], strict=True)]
