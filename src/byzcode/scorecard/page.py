"""The scorecard as a page of HTML that needs no other file, no network and no script."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from byzcode.analysis.evidence import scorecard
from byzcode.analysis.marks import LEVEL
from byzcode.scorecard import words
from byzcode.scorecard.axis import Axis, Interval
from byzcode.scorecard.heldout import shown, with_heldout
from byzcode.scorecard.table import VERDICTS, checked, read, versions, with_versions
from byzcode.specs.parsing import parse
from byzcode.storage.atomic import text
from byzcode.storage.layout import STAGES, trajectory
from byzcode.studies.requests import Scorecard

#: The columns that all cells of a claim share; cells that differ in them are shown as different claims.
_SHARED = ["claim", "says", "source", "mark", "statistic", "confirms", "refutes"]


@dataclass(frozen=True)
class Cell:
    """One test: a row of the table with its words and its drawing."""

    row: Mapping[Any, Any]
    axis: Axis
    interval: Interval
    runs: tuple[str, ...]

    @property
    def figure(self) -> str:
        """The address of its figure, relative to the page; empty without a figure."""
        return f"{STAGES['figure'].folder}/{quote(self.row['figure'], safe='')}.svg" if self.row["figure"] else ""

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

    @property
    def seeds(self) -> str:
        """How many of the seeds could be compared."""
        return words.of(self.row["pairs"], self.row["seeds"])


def write(request: Mapping[str, Any], results: Path, out: Path) -> None:
    """Write ``out``.html and ``out``.csv: the verdicts on the claims in the tables of the stage ``claims``.

    The request names the ``studies`` and the title of the ``reading``; with ``claims``, the tables must have been made
    for these requests. Raises UserError if a file is missing, foreign or cannot be written.
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
    html = page(table, reading=parsed.reading, versions=installed, results=str(results), about=about)
    for suffix, content in (("html", html), ("csv", with_versions(table, installed).to_csv(index=False))):
        with text(out.with_name(f"{out.name}.{suffix}")) as file:
            file.write(content)


def page(
    table: pd.DataFrame,
    *,
    reading: str,
    versions: Mapping[str, str],
    results: str = "results",
    about: Mapping[str, str] | None = None,
) -> str:
    """The scorecard as a page of HTML; ``results`` is the folder in the commands that it shows.

    ``about`` says by which hash the ``claims`` are frozen, and which seeds are ``heldout``.

    Raises UserError if the table is not a table of claims.
    """
    cells = checked(table, "scorecard")
    axes = {unit: Axis.of(group) for unit, group in cells.groupby("unit")}
    return _template().render(
        total=_counts(cells),
        stated=_counts(cells[cells["mark"] == "stated"]),
        claims=len(cells.drop_duplicates(["study", "claim"])),
        studies=[_study(group, axes) for _, group in cells.groupby("study", sort=False)],
        verdicts=VERDICTS,
        reading=reading,
        versions=versions,
        about={"claims": "", "heldout": "", **(about or {})},
        target=str(STAGES["scorecard"].table(Path(results), "scorecard").with_suffix(".html")),
        trajectory=lambda run: str(trajectory(Path(results), run)),
        table=lambda study: str(STAGES["claims"].table(Path(results), study)),
        level=f"{100 * LEVEL:g}",
    )


def _study(cells: pd.DataFrame, axes: Mapping[Any, Axis]) -> dict[str, Any]:
    first = cells.iloc[0]
    claims = [_claim(group, axes) for _, group in cells.groupby(_SHARED, sort=False)]
    return {"name": first["study"], "title": first["study_title"], "counts": _counts(cells), "claims": claims}


def _claim(cells: pd.DataFrame, axes: Mapping[Any, Axis]) -> dict[str, Any]:
    unit = cells["unit"].iloc[0]
    return {
        **{name: cells[name].iloc[0] for name in _SHARED},
        "effect": unit[:1].upper() + unit[1:] if unit and (cells["unit"] == unit).all() else "Effect",
        "cells": [_cell(row, axes[row["unit"]]) for row in cells.to_dict("records")],
    }


def _cell(row: Mapping[Any, Any], axis: Axis) -> Cell:
    band = (row["band_low"], row["band_high"])
    interval = Interval.of(axis, row["effect"], row["low"], row["high"], row["neutral"], band)
    return Cell(row, axis, interval, tuple(row["runs"].split()))


def _counts(cells: pd.DataFrame) -> dict[str, int]:
    return {verdict: int((cells["verdict"] == verdict).sum()) for verdict in VERDICTS}


@cache
def _template() -> Template:
    loader = PackageLoader("byzcode.scorecard", "")
    # Labels and notes come from users: escape them.
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["word"] = shlex.quote  # quotes a word of a command to copy into a shell
    return environment.get_template("page.html.jinja")
