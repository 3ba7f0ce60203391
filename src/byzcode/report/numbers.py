"""What the report says: numbers as they are printed, and the words that a verdict chooses. Nothing else is in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

from byzcode.analysis.marks import VERDICTS
from byzcode.errors import UserError
from byzcode.report.tables import Tables
from byzcode.scorecard.table import counts
from byzcode.scorecard.words import RATIO, kind_of_effect, number
from byzcode.storage import trajectories
from byzcode.storage.layout import trajectory
from byzcode.studies.papers import GROUPS, group, label

#: The libraries whose versions the report names.
LIBRARIES = ("python", "torch", "numpy", "scipy")
#: The ends of the axis of ratios, as powers of ten; beyond them stands an arrowhead.
_ENDS = (-3, 3)
#: The redundancies of the table of plateaus (those that a source states) and of the plot.
STATED, DRAWN = (10, 20, 30, 40, 50), (10, 20, 30, 40, 50, 100, 200, 400)
RULES = {"median": "median", "trimmed_mean": "trimmed mean", "phocas": "Phocas"}
ATTACKS = {"sign_flip": "sign flipping", "alie": "ALIE"}
PRE = {"none": "LAD-CWTM", "nnm": "LAD-CWTM-NNM"}


def numbers(tables: Tables) -> dict[str, Any]:
    """All that the template needs, for JSON. Raises UserError if a table or a number in it is missing."""
    plan, cells = tables.plan, tables.scorecard()
    readings, source = tables.readings()
    stated = cells[(cells["mark"] == "stated") & (cells["kind"] != "identity")]
    empirical = stated[stated["kind"] == "empirical"]
    if not len(empirical):
        raise UserError(f"{tables.folder}/scorecard.csv: no empirical claim that a source states")
    return {
        "from": str(tables.folder),
        "readings_from": str(source.parent),
        "project": json.loads((files("byzcode") / "codemeta.json").read_text(encoding="utf-8")),
        "versions": {name: str(cells[f"version_{name}"].iloc[0]) for name in LIBRARIES if f"version_{name}" in cells},
        "registration": plan.registration.words,
        "runs": len(plan.runs),
        "tests": len(cells),
        "claims": len(cells.drop_duplicates(["study", "claim"])),
        "seeds": int(cells["seeds"].max()),
        "empirical": counts(cells[cells["kind"] == "empirical"]),
        "stated": counts(empirical),
        "heldout": _heldout(cells, tables),
        "papers": [_paper(name, stated, readings, tables) for name in GROUPS[:-1]],
        "not_always": [
            _exception(claim, tables) for claim in _claims(empirical) if {*claim["verdict"]} != {"supported"}
        ],
        "readings": int(readings["readings"].max()),
        "plateaus": _plateaus(tables),
        "lad": _lad(tables),
        "colours": {name: style.color for name, style in next(iter(plan.studies.values())).styles.items()},
        "choices": _choices(tables),
        "cost": None if tables.kept else _cost(tables),
        "figure": None if tables.kept else tables.figure("cra-d-loss"),
    }


def _claims(cells: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The tests of each claim."""
    yield from (claim for _, claim in cells.groupby(["study", "claim"], sort=False))


def _heldout(cells: pd.DataFrame, tables: Tables) -> dict[str, int]:
    """How many verdicts held-out seeds confirm, and how many they reverse. Later claims of ours may lack theirs."""
    lacking = (cells["test"] != "open") & (cells["verdict_heldout"] == "")
    if (lacking & (cells["mark"] == "stated")).any():
        raise UserError(f"{tables.folder}/scorecard.csv: verdicts on held-out seeds are missing; `make heldout`")
    opposite = {"supported": "refuted", "refuted": "supported"}
    tested = cells[~lacking]
    reversed_ = tested["verdict"].map(opposite) == tested["verdict_heldout"]
    same = tested["verdict"].where(tested["test"] == "open", tested["verdict_heldout"]) == tested["verdict"]
    return {"same": int(same.sum()), "all": len(tested), "reversed": int(reversed_.sum())}


def _paper(name: str, stated: pd.DataFrame, readings: pd.DataFrame, tables: Tables) -> dict[str, Any]:
    """The claims that a source of a paper states."""
    studies = {key: planned.study for key, planned in tables.plan.claimed.items() if group(planned.study) == name}
    own = stated[stated["study"].isin(studies)]
    if not len(own):
        raise UserError(f"{tables.folder}/scorecard.csv: no claim of {name}, which the report shows")
    return {
        "name": name,
        "counts": counts(own[own["kind"] == "empirical"]),
        "claims": [
            {"figure": label(studies[claim["study"].iloc[0]]), **_claim(claim, readings)} for claim in _claims(own)
        ],
    }


def _claim(cells: pd.DataFrame, readings: pd.DataFrame) -> dict[str, Any]:
    """A row of the table of claims."""
    first = cells.iloc[0]
    own = readings[(readings["study"] == first["study"]) & (readings["claim"] == first["claim"])]
    own = own[own["cell"].fillna("") == ""]
    return {
        "says": first["says"].rstrip("."),
        "kind": first["kind"],
        "effect": _range(cells),
        "unit": "ratio" if _is_ratio(first["unit"]) else "exponent" if first["unit"] == "exponent" else "growth",
        "tests": [_place(row) for row in cells.to_dict("records")],
        "verdict": in_words(list(cells["verdict"])),
        "heldout": f"{int((cells['verdict'] == cells['verdict_heldout']).sum())}/{len(cells)}",
        "readings": _shares(own.iloc[0]) if len(own) else "",
    }


def _shares(row: Mapping[str, Any]) -> str:
    # Rounded first: 100 times 0.145 is just below 14.5.
    return ", ".join(str(math.floor(round(100 * float(row[name]), 6) + 0.5)) for name in ("supported", "refuted"))


def in_words(verdicts: Sequence[str]) -> str:
    """Verdicts in words: the one that all have, else how many have which."""
    found = {verdict: verdicts.count(verdict) for verdict in VERDICTS if verdict in verdicts}
    return next(iter(found)) if len(found) == 1 else ", ".join(f"{count} {name}" for name, count in found.items())


def _exception(cells: pd.DataFrame, tables: Tables) -> dict[str, str]:
    """A claim with its verdicts and effect, for a list."""
    first = cells.iloc[0]
    return {
        "figure": label(tables.plan.studies[first["study"]].study),
        "says": first["says"].rstrip("."),
        "verdict": in_words(list(cells["verdict"])),
        "effect": _range(cells),
    }


def _range(cells: pd.DataFrame) -> str:
    """The effects of a claim's tests: from the least to the largest."""
    effects, first = cells["effect"], cells.iloc[0]
    if effects.isna().any():
        raise UserError(f"byzcode report: {first['study']}/{first['claim']}: the scorecard has no effect of a test")
    return " to ".join(dict.fromkeys(map(number, (float(effects.min()), float(effects.max())))))


def _is_ratio(unit: str) -> bool:
    return kind_of_effect(unit) == RATIO


def _place(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A test on the axis: its effect and the ends of its interval as shares of the axis; none unless it is a ratio."""
    ratio = _is_ratio(row["unit"])
    names = ("effect", "low", "high")
    return {"verdict": row["verdict"], **{name: _at(float(row[name])) if ratio else None for name in names}}


def _at(ratio: float) -> float:
    low, high = _ENDS
    power = -math.inf if ratio <= 0 else math.log10(ratio)
    return min(1.0, max(0.0, (power - low) / (high - low)))


def _plateaus(tables: Tables) -> dict[str, Any]:
    """The loss above its minimum at the plateau against redundancy, by rule (study cra-d)."""
    table = tables.summary("cra-d")

    def levels(method: str, rule: str, redundancies: Sequence[int]) -> list[dict[str, Any]]:
        own = table[(table["method"] == method) & (table["aggregation"] == rule)]
        return [_level(own[own["redundancy"] == r], r, f"cra-d: {method}, {rule}, r = {r}") for r in redundancies]

    return {
        "stated": list(STATED),
        "rules": [
            {
                "rule": words,
                "rba_dl": levels("rba_dl", rule, [10])[0],
                "cra_dl": levels("cra_dl", rule, DRAWN),
                "cra_dl_corrected": levels("cra_dl_corrected", rule, DRAWN),
                "clairvoyant": levels("clairvoyant", "mean", DRAWN),
            }
            for rule, words in RULES.items()
        ],
    }


def _lad(tables: Tables) -> list[dict[str, Any]]:
    """The last loss of LAD against the tasks of a device, by attack, and that of the exact gradient (study lad-b)."""
    table = tables.summary("lad-b")
    exact = table[table["method"] == "gradient_descent"]
    return [
        {
            "attack": words,
            "curves": {
                curve: [
                    _level(own[own["redundancy"] == d], int(d), f"lad-b: {curve}, {attack}, d = {d}")
                    for d in sorted(own["redundancy"])
                ]
                for pre, curve in PRE.items()
                for own in [
                    table[(table["method"] == "lad") & (table["attack"] == attack) & (table["pre_aggregation"] == pre)]
                ]
            },
            "exact": _level(exact, 1, "lad-b: gradient_descent"),
        }
        for attack, words in ATTACKS.items()
    ]


def _level(rows: pd.DataFrame, x: int, what: str) -> dict[str, Any]:
    """A median with its quartiles, as logarithms and in print; none where it is infinite, because seeds diverged."""
    if len(rows) != 1 or rows["excess_loss_median"].isna().any():
        raise UserError(f"byzcode report: {what}: no level of the excess loss in the summary")
    values = [float(rows[f"excess_loss_{name}"].iloc[0]) for name in ("median", "q25", "q75")]
    log = [math.log10(value) if 0 < value < math.inf else None for value in values]
    return {"x": x, "log": log, "median": number(values[0])}


def _choices(tables: Tables) -> dict[str, Any]:
    """What the papers leave open: how many values are of which mark, and our own."""
    choices = tables.plan.reading.choices
    ours = [{"key": each.key, "value": json.dumps(each.value)} for each in choices if each.mark == "unknown"]
    return {
        "all": len(choices),
        **{mark: sum(c.mark == mark for c in choices) for mark in ("stated", "inferred")},
        "ours": ours,
    }


def _cost(tables: Tables) -> dict[str, str]:
    """The processor time of all trainings, as the trajectories store it."""
    runs = tables.plan.runs.items()
    stored = [trajectories.load(trajectory(tables.results, name), spec).attributes for name, spec in runs]
    minutes = sum(float(attributes["cpu_seconds"]) for attributes in stored) / 60
    where = {f"{name}s": ", ".join(sorted({str(each[name]) for each in stored})) for name in ("device", "platform")}
    return {"minutes": f"{minutes:.0f}", **where}
