"""The scorecard as a page of HTML that needs no other file, no network and no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from byzcode.analysis.evidence import scorecard
from byzcode.analysis.marks import LEVEL, VERDICTS
from byzcode.pages.templates import template
from byzcode.pages.thumbnails import Thumbnail, thumbnail
from byzcode.scorecard import summary, words
from byzcode.scorecard.axis import Axis, Interval
from byzcode.scorecard.heldout import shown, with_heldout
from byzcode.scorecard.table import (
    OTHER_VERDICTS,
    checked,
    counts,
    read,
    versions,
    with_versions,
)
from byzcode.specs.parsing import parse
from byzcode.storage.atomic import text
from byzcode.storage.layout import STAGES, trajectory
from byzcode.studies.requests import Scorecard

#: The columns that all cells of a claim share; cells that differ in them are shown as different claims.
_SHARED = ["claim", "says", "source", "mark", "statistic", "confirms", "refutes"]
#: The width of a thumbnail in pixels.
_SIZE = 320
#: Its largest height, relative to its width: of a tall figure the upper part is enough to recognize it.
_TALLEST = 0.75


@dataclass(frozen=True)
class Cell:
    """One test: a row of the table with its words and its drawing."""

    row: Mapping[Any, Any]
    axis: Axis
    interval: Interval
    runs: tuple[str, ...]

    @property
    def other_verdicts(self) -> dict[str, str]:
        """The verdicts under other conditions, by their column; that of missing seeds only if it differs."""
        known = {name: str(self.row[name]) for name in OTHER_VERDICTS}
        if known["verdict_missing_against"] == self.row["verdict"]:
            del known["verdict_missing_against"]
        return {name: verdict for name, verdict in known.items() if verdict}

    @property
    def remarks(self) -> list[str]:
        """What a reader must know of the verdict, besides why it is fragile."""
        return [str(self.row[name]) for name in ("warning", "unsettled", "ended") if self.row[name]]

    @property
    def kind(self) -> str:
        """The kind of the claim, and the claims that it controls."""
        kind, controls = self.row["kind"], self.row["controls"]
        return f"{kind}, of {controls}" if controls else str(kind)

    @property
    def figure(self) -> str:
        """The address of its figure, relative to the page; empty without a figure."""
        return f"{STAGES['figure'].folder}/{quote(self.row['figure'], safe='')}.svg" if self.row["figure"] else ""

    @property
    def place(self) -> str:
        """Where the test was made, in words."""
        return words.place(self.row["place"])

    @property
    def tested(self) -> bool:
        """Whether the claim was tested."""
        return bool(self.row["test"] != "open")

    @property
    def effect(self) -> str:
        """The effect as a number."""
        return words.number(self.row["effect"])

    @property
    def extent(self) -> str:
        """The interval as numbers."""
        low, high = self.row["low"], self.row["high"]
        if pd.isna(low) or pd.isna(high):
            return "no interval"
        ends = dict.fromkeys(map(words.number, (low, high)))
        return " to ".join(ends)

    @property
    def compared_with(self) -> str:
        """The reference for the effect: the neutral value or the band of equivalence."""
        row = self.row
        if not (pd.isna(row["band_low"]) or pd.isna(row["band_high"])):
            return f"equivalent from {words.short(row['band_low'])} to {words.short(row['band_high'])}"
        return "" if pd.isna(row["neutral"]) else f"neutral at {words.short(row['neutral'])}"

    @property
    def alternative(self) -> str:
        """The drawing in words, for its alternative text."""
        parts = [f"{self.row['unit']} {self.effect}", f"95 % interval {self.extent}", self.compared_with]
        return "; ".join(filter(None, parts))

    @property
    def tests(self) -> str:
        """The adjusted p-values."""
        row = self.row
        return f"supported {words.probability(row['p_support'])}, refuted {words.probability(row['p_refute'])}"

    def paths(self, results: str) -> list[str]:
        """The trajectories of its runs."""
        return [str(trajectory(Path(results), run)) for run in self.runs]

    @property
    def seeds(self) -> str:
        """How many of the seeds could be compared."""
        return words.of(self.row["pairs"], self.row["seeds"])


def write(request: Mapping[str, Any], results: Path, out: Path, configured: Sequence[str] = ()) -> None:
    """Write ``out``.html and ``out``.csv: the verdicts on the claims in results/claims/<study>.csv.

    The request names the ``studies`` and the title of the ``reading``; with ``claims``, the tables must have been made
    for these requests. ``configured`` are the configuration files, besides the default, that the commands on the page
    name. Raises UserError if a file is missing, foreign or cannot be written.
    """
    parsed = parse(Scorecard, request, "scorecard request")
    table = scorecard(
        [read(STAGES["claims"].table(results, study), parsed.claims.get(study)) for study in parsed.studies]
    )
    installed = versions()
    held_out = shown(parsed.heldout)
    table = with_heldout(table, held_out)
    about = {
        "claims": f"sha256 {parsed.registration.digest}, {parsed.registration.words}" if parsed.registration else "",
        "heldout": held_out.words if held_out else "",
    }
    html = page(
        table,
        reading=parsed.reading,
        versions=installed,
        about=about,
        labels=parsed.labels,
        pictures={
            name: thumbnail(results, name, _SIZE, hashed, tallest=_TALLEST) for name, hashed in parsed.figures.items()
        },
        results=str(results),
        configured=configured,
    )
    for suffix, content in (("html", html), ("csv", with_versions(table, installed).to_csv(index=False))):
        with text(out.with_name(f"{out.name}.{suffix}")) as file:
            file.write(content)


def page(
    table: pd.DataFrame,
    *,
    reading: str,
    versions: Mapping[str, str],
    about: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    pictures: Mapping[str, Thumbnail] | None = None,
    results: str = "results",
    configured: Sequence[str] = (),
) -> str:
    """The scorecard as a page of HTML, with the ``labels`` of studies and ``pictures`` of figures.

    ``about`` says by which hash the ``claims`` are frozen, and which seeds are ``heldout``.

    ``results`` is the folder in the commands that it shows. Raises UserError if the table is not a table of claims.
    """
    cells = checked(table, "scorecard")
    axes = {kind: Axis.of(group) for kind, group in cells.groupby(cells["unit"].map(words.kind_of_effect))}
    studies = [_study(group, axes, labels or {}, pictures or {}) for _, group in cells.groupby("study", sort=False)]
    return template("scorecard/page.html.jinja").render(
        tests=len(cells),
        claims=len(cells.drop_duplicates(["study", "claim"])),
        overview=summary.overview(cells, axes.get(words.RATIO), {study["name"]: study for study in studies}),
        studies=studies,
        verdicts=VERDICTS,
        kinds=summary.MEANINGS,
        others={name: heading for name, heading in OTHER_VERDICTS.items() if (cells[name] != "").any()},
        reading=reading,
        versions=versions,
        about={name: words for name, words in (about or {}).items() if words},
        results=results,
        target=str(STAGES["scorecard"].table(Path(results), "scorecard").with_suffix(".html")),
        table=lambda study: str(STAGES["claims"].table(Path(results), study)),
        configured=configured,
        level=f"{100 * LEVEL:g}",
    )


def _study(
    cells: pd.DataFrame, axes: Mapping[Any, Axis], labels: Mapping[str, str], pictures: Mapping[str, Thumbnail]
) -> dict[str, Any]:
    first = cells.iloc[0]
    ids: set[str] = set()
    return {
        "name": first["study"],
        "label": labels.get(first["study"], first["study"]),
        "title": first["study_title"],
        "counts": counts(cells),
        "claims": [_claim(group, axes, ids) for _, group in cells.groupby(_SHARED, sort=False)],
        "pictures": {name: pictures[name] for name in dict.fromkeys(cells["figure"]) if name in pictures},
    }


def _claim(cells: pd.DataFrame, axes: Mapping[Any, Axis], ids: set[str]) -> dict[str, Any]:
    """A claim with its cells. ``ids`` has the ids of claims before it, so that the first of a name keeps its own."""
    first = cells.iloc[0]
    name = f"{first['study']}.{first['claim']}"
    while name in ids:
        name += "~"
    ids.add(name)
    sides = cells[["compared", "against"]].drop_duplicates()
    return {
        **{name: first[name] for name in _SHARED},
        "id": name,
        "unit": first["unit"] if (cells["unit"] == first["unit"]).all() else "effect",
        "axis": axes[words.kind_of_effect(first["unit"])] if cells["unit"].nunique() == 1 else None,
        "sides": None if len(sides) > 1 or len(cells) == 1 else (first["compared"], first["against"]),
        "cells": [_cell(row, axes[words.kind_of_effect(row["unit"])]) for row in cells.to_dict("records")],
    }


def _cell(row: Mapping[Any, Any], axis: Axis) -> Cell:
    band = (row["band_low"], row["band_high"])
    interval = Interval.of(axis, row["effect"], row["low"], row["high"], row["neutral"], band)
    return Cell(row, axis, interval, tuple(row["runs"].split()))
