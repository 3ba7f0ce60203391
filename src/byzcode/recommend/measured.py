"""Measurements of a configuration, from the summaries of stored results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from byzcode.aggregation import RULES
from byzcode.analysis.summary import LATER
from byzcode.recommend.choices import Advice
from byzcode.recommend.need import Need
from byzcode.recommend.words import number
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec
from byzcode.storage import checksums
from byzcode.storage.layout import STAGES

#: The largest factor between the redundancy of a configuration and that of a run that counts as its measurement.
FARTHEST = 2.0
#: The folder of the results of `make open-questions` in those of `make reproduce`.
OPEN = "open"
#: The columns that a summary must have to be used.
_COLUMNS = (
    "run_id",
    "devices",
    "subsets",
    "alpha",
    "method",
    "redundancy",
    "allocation",
    "allocation_options",
    "assignment",
    "encoding",
    "aggregation",
    "pre_aggregation",
    "compression",
    "attack",
    "gradient_norm_median",
    "heterogeneity_median",
)


@dataclass(frozen=True)
class Seen:
    """The measurement of a configuration: ||grad F||^2 / S^2 at the plateau, under the worst attack measured.

    ``run`` is the id of the run with that attack.
    """

    ratio: float
    redundancy: int
    attack: str
    attacks: frozenset[str]
    run: str

    def words(self, heterogeneity: float) -> str:
        """The text in the table, for a given heterogeneity S."""
        floor = number(self.ratio * heterogeneity**2) if math.isfinite(self.ratio) else "diverged"
        return f"{floor} (r = {self.redundancy}, {self.attack.replace('_', ' ')})"


def measurements(results: Path, need: Need) -> pd.DataFrame:
    """The rows of summaries in ``results`` with the same N, M and alpha as ``need``, from all tables that can be used.

    The summaries of `make open-questions` count, too, but not runs that a configuration does not describe, as those
    whose server assumes another f. Raises UserError if a table is damaged.
    """
    tables = []
    folders = [folder / STAGES["summarise"].folder for folder in (results, results / OPEN)]
    for path in sorted(path for folder in folders for path in folder.glob("*.csv")):
        content = checksums.checked(path, "summarise")
        try:
            table = pd.read_csv(content)
        except ValueError:
            continue
        for column, (_, usual) in LATER.items():  # without such a column, all runs have the usual value
            table = table[table[column] == usual] if column in table else table
        if "assumed_alpha" in table:
            table = table[table["assumed_alpha"].isna()]
        if set(_COLUMNS) <= set(table.columns):
            tables.append(table[list(_COLUMNS)])
    if not tables:
        return pd.DataFrame(columns=list(_COLUMNS))
    rows = pd.concat(tables, ignore_index=True).drop_duplicates()
    same = (rows["devices"] == need.devices) & (rows["subsets"] == need.subsets)
    return rows[same & np.isclose(rows["alpha"], need.alpha)]


def measured(need: Need, advice: Advice, rows: pd.DataFrame) -> Seen | None:
    """The measurement of a configuration with its allocation: the worst attack at the nearest redundancy.

    None if no measured redundancy is within the factor :data:`FARTHEST`.
    """
    run = run_of(need, advice.curve)
    options = " ".join(f"{name}={value}" for name, value in run.allocation.options.items())
    same = (rows["method"] == run.method) & (rows["allocation"] == run.allocation.name)
    same &= (rows["allocation_options"].astype(object).fillna("") == options) & (rows["encoding"] == run.encoding.name)
    same &= rows["assignment"] == run.assignment
    if METHODS[advice.method].server == "rule":
        same &= (rows["aggregation"] == advice.rule) & (rows["pre_aggregation"] == advice.before)
        same &= rows["compression"] == advice.shortening.name
    near = rows[same & rows["gradient_norm_median"].notna()]  # NaN: the run has no level
    distance = np.abs(np.log(near["redundancy"].astype(float) / advice.redundancy))
    chosen = near[(distance == distance.min()) & (distance <= np.log(FARTHEST))]
    if chosen.empty:
        return None
    ratio = (chosen["gradient_norm_median"] / chosen["heterogeneity_median"]) ** 2
    ratio = ratio.fillna(np.inf)  # the run diverged
    worst = chosen.iloc[int(np.argmax(ratio))]
    redundancy, attack, source = int(worst["redundancy"]), str(worst["attack"]), str(worst["run_id"])
    return Seen(float(ratio.max()), redundancy, attack, frozenset(chosen["attack"]), source)


def favourite(compared: Sequence[tuple[Advice, Seen | None]]) -> tuple[Advice, str] | None:
    """The configuration with the best measurement, and why; None if fewer than two were measured, or all diverged."""
    known = sorted(((advice, seen) for advice, seen in compared if seen is not None), key=lambda pair: pair[1].ratio)
    if len(known) < 2 or math.isinf(known[0][1].ratio):
        return None
    advice, seen = known[0]
    rule = f", {RULES[advice.rule].words}" if advice.rule else ""
    reason = (
        f"{number(seen.ratio)} of S² at worst (r = {seen.redundancy}, {seen.attack.replace('_', ' ')}, run {seen.run})"
    )
    reason += f", the lowest of {len(known)} measured rows"
    if len({seen.attacks for _, seen in known}) > 1:
        reason += "; not all were measured under the same attacks"
    return advice, f"{advice.title}{rule}. {reason[0].upper()}{reason[1:]}."


def run_of(need: Need, curve: Mapping[str, Any]) -> RunSpec:
    """A run with the sizes of ``need`` and the fields of ``curve``."""
    fields = {
        "problem": {"name": "linear_regression", "subsets": need.subsets, "dimension": need.dimension},
        "devices": need.devices,
        "byzantine": {"alpha": need.alpha},
        "seeds": [0],
    }
    return RunSpec.parse(fields | dict(curve), "byzcode recommend")
