"""Verdicts over all tests, and what a reader needs to know of them: missing seeds, fragile verdicts, failed controls.

A verdict is *fragile* if another analysis could well differ (the criteria were written before any verdict was looked
at): its adjusted p-value is within a factor NEAR of the level, on either side; or fewer than half of the seeds could be
compared in the test that decided it; or the verdict is another one if the missing seeds count against the claim.

A control passes if it is supported: then a test that should tell methods apart does not, which warns of the claims that
are tested in the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from byzcode.analysis.paired import Array, holm

#: The family-wise error rate: the largest probability of any false verdict "supported" or "refuted" in a scorecard.
LEVEL = 0.05
#: An adjusted p-value within this factor of the level is near it.
NEAR = 5.0
#: A verdict that fewer than this part of the seeds decide is fragile.
ENOUGH = 0.5

VERDICTS = ("supported", "refuted", "undecided")


def verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with verdicts, and with p-values adjusted over both sides of all tests."""
    return _judged(rows, "p_support", "p_refute", "verdict")


def marked(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a scorecard with three more columns.

    ``verdict_missing_against``: the verdict if missing seeds count against the claim. ``fragile``: why the verdict is
    fragile; empty if it is not. ``warning``: the controls that passed.
    """
    judged = _judged(rows, "p_support_missing", "p_refute_missing", "verdict_missing_against")
    return judged.assign(fragile=_fragile(judged), warning=_warnings(judged))


def _judged(rows: pd.DataFrame, support: str, refute: str, verdict: str) -> pd.DataFrame:
    tested = rows["test"] != "open"
    judged = rows.copy()
    adjusted = holm([*judged.loc[tested, support], *judged.loc[tested, refute]])
    judged[support], judged[refute] = np.nan, np.nan
    judged.loc[tested, support], judged.loc[tested, refute] = np.split(adjusted, 2)
    judged[verdict] = np.select([judged[support] < LEVEL, judged[refute] < LEVEL], VERDICTS[:2], VERDICTS[2])
    return judged


def _fragile(rows: pd.DataFrame) -> list[str]:
    """The reasons for which each verdict is fragile, in words."""
    nearest = rows[["p_support", "p_refute"]].min(axis=1).to_numpy(dtype=float)
    decisive = np.select([rows["verdict"] == each for each in VERDICTS[:2]], _seeds(rows), np.inf)
    seeds = rows["seeds"].to_numpy(dtype=float)
    reasons = {
        "the adjusted p-value is near the level": (nearest >= LEVEL / NEAR) & (nearest < LEVEL * NEAR),
        "fewer than half of the seeds decide": decisive < ENOUGH * seeds,
        "another verdict if missing seeds count against the claim": (
            rows["verdict"] != rows["verdict_missing_against"]
        ).to_numpy(),
    }
    return ["; ".join(word for word, holds in reasons.items() if holds[row]) for row in range(len(rows))]


def _seeds(rows: pd.DataFrame) -> list[Array]:
    return [rows[name].to_numpy(dtype=float) for name in ("seeds_support", "seeds_refute")]


def _warnings(rows: pd.DataFrame) -> list[str]:
    """For each test, the controls of its claim that passed at its place, or anywhere if none was tested there."""
    controls = rows[rows["controls"] != ""]
    return ["; ".join(map(_warning, _passed(row, controls))) for row in rows.to_dict("records")]


def _passed(row: dict[Any, Any], controls: pd.DataFrame) -> list[dict[Any, Any]]:
    own = [
        control
        for control in controls.to_dict("records")
        if control["study"] == row["study"] and row["claim"] in control["controls"].split()
    ]
    passed = []
    for name in dict.fromkeys(control["claim"] for control in own):
        tests = [control for control in own if control["claim"] == name]
        same_place = [control for control in tests if control["place"] == row["place"]] or tests
        passed += [control for control in same_place if control["verdict"] == "supported"][:1]
    return passed


def _warning(control: dict[Any, Any]) -> str:
    compared = f"{control['compared']} against {control['against']}" if control["against"] else control["compared"]
    return f"the control {control['claim']} passes this test, too ({compared})"
