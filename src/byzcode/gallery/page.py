"""The gallery: a page with every figure, what it shows, the verdicts on its claims, and its files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from byzcode.pages.anchors import anchor
from byzcode.pages.templates import template
from byzcode.pages.thumbnails import Thumbnail, thumbnail
from byzcode.scorecard.table import checked, counts, read
from byzcode.specs.parsing import parse
from byzcode.storage.atomic import text
from byzcode.storage.layout import STAGES
from byzcode.studies.requests import Gallery, ListedFigure, ListedStudy

#: The width of a thumbnail in pixels.
SIZE = 560

#: What the filter selects by: the heading of each list, and the name of its data.
FILTERS = {"paper": "Paper", "methods": "Method", "attacks": "Attack", "rules": "Rule"}


@dataclass(frozen=True)
class ShownClaim:
    """A claim that a figure shows: its text, its place on the scorecard, and its verdicts."""

    says: str
    address: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Card:
    """A figure of the page."""

    study: ListedStudy
    figure: ListedFigure
    picture: Thumbnail
    claims: Sequence[ShownClaim]

    @property
    def selected(self) -> dict[str, list[str]]:
        """What the filter compares, by the names in ``FILTERS``."""
        own = self.figure
        drawn = {"methods": [*own.methods], "attacks": [*own.attacks], "rules": [*own.rules]}
        return {"paper": [self.study.group], **drawn}

    @property
    def stored(self) -> list[tuple[str, str]]:
        """The runs and allocations that it draws: ids, and paths relative to the page."""
        own = self.figure
        drawn = [("train", name) for name in own.runs] + [("allocate", name) for name in own.allocations]
        return [(name, str(STAGES[stage].path(Path(), name))) for stage, name in drawn]


def write(request: Mapping[str, Any], results: Path, out: Path, configured: Sequence[str] = ()) -> None:
    """Write the page ``out`` about the figures, and about the scorecard if the request names one.

    ``configured`` are the configuration files, besides the default, that the commands on the page name. Raises
    UserError if a file is missing, damaged or of another request, or if the page cannot be written.
    """
    gallery = parse(Gallery, request, "gallery request")
    table = None
    if gallery.scorecard is not None:
        path = STAGES["scorecard"].table(results, "scorecard")
        table = checked(read(path, gallery.scorecard, stage="scorecard"), path)
    pictures = {
        figure.figure: thumbnail(results, figure.figure, SIZE, figure.request)
        for study in gallery.studies
        for figure in study.figures
    }
    html = page(gallery, table, pictures, results=results, configured=configured)
    with text(out) as file:
        file.write(html)


def page(
    gallery: Gallery,
    table: pd.DataFrame | None,
    pictures: Mapping[str, Thumbnail],
    *,
    results: Path = Path("results"),
    configured: Sequence[str] = (),
) -> str:
    """The page as HTML, to be stored in the folder ``results``; ``table`` is the table of the scorecard."""
    cards = [
        Card(study, figure, pictures[figure.figure], _claims(figure, table))
        for study in gallery.studies
        for figure in study.figures
    ]
    groups: dict[str, dict[str, list[Card]]] = {}
    for card in cards:
        groups.setdefault(card.study.group, {}).setdefault(card.study.study, []).append(card)
    return template("gallery/page.html.jinja").render(
        groups=groups,
        number=len(cards),
        studies=len(gallery.studies),
        filters={name: (title, _choices(cards, name)) for name, title in FILTERS.items()},
        counts=None if table is None else counts(table),
        reading=gallery.reading,
        script=(files("byzcode.gallery") / "filter.js.jinja").read_text(encoding="utf-8"),
        above=os.path.relpath(".", results),
        results=results,
        configured=configured,
        formats=[suffix for suffix in ("pdf", "svg", "csv") if suffix in STAGES["figure"].suffixes],
        folder=STAGES["figure"].folder,
    )


def _claims(figure: ListedFigure, table: pd.DataFrame | None) -> list[ShownClaim]:
    if table is None:
        return []
    shown = table[table["figure"] == figure.figure]
    return [_claim(cells) for _, cells in shown.groupby(["study", "claim"], sort=False)]


def _claim(cells: pd.DataFrame) -> ShownClaim:
    first = cells.iloc[0]
    return ShownClaim(first["says"], f"scorecard.html#{anchor(first['study'], first['claim'])}", counts(cells))


def _choices(cards: Sequence[Card], name: str) -> list[str]:
    """The values of a filter: papers in the order of the page, the others sorted."""
    values = list(dict.fromkeys(value for card in cards for value in card.selected[name]))
    return values if name == "paper" else sorted(values, key=str.casefold)
