"""Evidence for and against the claims of a study, and the scorecard of all studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from byzcode.analysis.comparisons import TESTS
from byzcode.analysis.levels import Levels, Run, of_stored
from byzcode.analysis.marks import marked, verdicts
from byzcode.analysis.ratios import NO_CHANCE, Outcome
from byzcode.errors import UserError
from byzcode.specs.parsing import parse
from byzcode.storage import trajectories
from byzcode.studies.claim import Claim, Open, When
from byzcode.studies.fields import in_digits
from byzcode.studies.requests import Claims
from byzcode.training.status import RAN_AWAY, Status

_CLAIM: TypeAdapter[Claim] = TypeAdapter(Claim)

#: For each kind of test, a sentence on what is compared.
STATISTIC: dict[str, str] = {
    "lower": "Geometric mean over seeds of the paired ratio; signed rank tests of below and above {factor}.",
    "equivalent": "Geometric mean over seeds of the paired ratio; two one-sided signed rank tests against {low:.3g} "
    "and {high:.3g}.",
    "falls": "Paired ratio at each of the steps {values}; a signed rank test for each, all must fall.",
    "grows": "Slope of the advantage ({advantage}) over {along} = {values}, one per seed; signed rank test.",
    "law": "Exponent of the squared {quantity} in {predicted}, over {along} = {values}, one per seed; two one-sided "
    "signed rank tests against {low:.3g} and {high:.3g}.",
    "predicted": "Mean squared distance of coded gradients ({distance}) over that of the subsets' gradients from "
    "the gradient, over its closed form; two one-sided signed rank tests against {low:.3g} and {high:.3g}.",
    "open": "",
}


class ClaimTest(NamedTuple):
    """One test of a claim, with the ids of its runs; see :meth:`byzcode.studies.cells.Cell.request`."""

    claim: Claim
    cell: str
    place: str
    runs: tuple[str, ...]
    against: tuple[str, ...]
    tested: str = ""  # the hash of what it tests; see byzcode.studies.frozen

    @classmethod
    def parse(cls, request: Mapping[str, Any]) -> ClaimTest:
        """The test in a request of the workflow."""
        return cls(
            _CLAIM.validate_python(request["claim"]),
            request["cell"],
            request["place"],
            tuple(request["runs"]),
            tuple(request["against"]),
        )


def evidence(tests: Sequence[ClaimTest], run_of: Callable[[str], Run]) -> pd.DataFrame:
    """A table with one row per test. ``run_of`` returns the run of an id."""
    return pd.DataFrame([_row(test, run_of) for test in tests])


def of_study(request: Mapping[str, Any], path_of: Callable[[str], Path]) -> pd.DataFrame:
    """The evidence for the claims of a study from its stored runs. Raises UserError as trajectories.open does."""
    wanted = parse(Claims, request, "claims request")

    @cache
    def run_of(name: str) -> Run:
        return of_stored(trajectories.load(path_of(name), name))

    tests = [
        ClaimTest(cell.claim, cell.cell, cell.place, cell.runs, cell.against, cell.tested or "")
        for cell in wanted.cells
    ]
    rows = evidence(tests, run_of)
    rows.insert(0, "study", wanted.study)
    rows.insert(1, "study_title", wanted.title)
    rows["figure"] = [f"{wanted.study}-{plot}" if plot else "" for plot in rows["figure"]]
    return rows


def scorecard(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All claims of all studies with their verdicts, in the order of the tables; see :mod:`byzcode.analysis.marks`."""
    return marked(verdicts(pd.concat(tables, ignore_index=True)))


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # levels may be 0, infinite or NaN
def _row(test: ClaimTest, run_of: Callable[[str], Run]) -> dict[str, Any]:
    claim = test.claim
    row: dict[str, Any] = {
        "claim": claim.claim,
        "cell": test.cell,
        "place": test.place,
        "says": claim.says,
        "source": claim.source,
        "mark": claim.mark,
        "kind": claim.kind,
        "controls": " ".join(getattr(claim, "controls", ())),
        "test": claim.test,
        "tested": test.tested,
    }
    if isinstance(claim, Open):
        nothing = Outcome(np.nan, np.nan, np.nan, "", NO_CHANCE, NO_CHANCE, 0, note=f"not tested here: {claim.reason}")
        return row | _words_of(claim, nothing) | _columns_of(nothing)
    runs, against = ([run_of(name) for name in names] for names in (test.runs, test.against))
    for run in (*runs, *against):
        if run.spec.seeds != runs[0].spec.seeds:
            raise UserError(
                f"{test.cell}: run {run.spec.run_id} has other seeds than {runs[0].spec.run_id}; expected the same"
            )
    outcome = TESTS[claim.test](claim, runs, against)
    return (
        row
        | _words_of(claim, outcome)
        | _columns_of(outcome)
        | {
            "seeds": len(runs[0].spec.seeds),
            "unsettled": _remarks(claim, runs, against, _unsettled),
            "ended": _remarks(claim, runs, against, _ended),
            "figure": claim.figure or "",
            "runs": " ".join(dict.fromkeys([*test.runs, *test.against])),
        }
    )


def _words_of(claim: Claim, outcome: Outcome) -> dict[str, Any]:
    """The columns that describe the test in words."""
    low, high = outcome.band
    values = ", ".join(map(str, getattr(claim, "values", ())))
    fields = {**claim.model_dump(), "low": low, "high": high, "values": values}
    if "factor" in fields:
        fields["factor"] = in_digits(fields["factor"])
    words = {name: str(value).replace("_", " ") if isinstance(value, str) else value for name, value in fields.items()}
    sides = {"compared": getattr(claim, "curve", None), "against": getattr(claim, "against", None)}
    return {
        "statistic": STATISTIC[claim.test].format(**words),
        "confirms": getattr(claim, "confirms", ""),
        "refutes": getattr(claim, "refutes", ""),
        **{name: _side(side) for name, side in sides.items()},
    }


def _columns_of(outcome: Outcome) -> dict[str, Any]:
    """The columns of the outcome; those that describe runs are empty, as for an open claim."""
    return {
        "effect": outcome.effect,
        "low": outcome.low,
        "high": outcome.high,
        "unit": outcome.unit,
        "neutral": outcome.neutral,
        "band_low": outcome.band[0],
        "band_high": outcome.band[1],
        "p_support": outcome.p_support,
        "p_refute": outcome.p_refute,
        "p_support_missing": outcome.support.against,
        "p_refute_missing": outcome.refute.for_it,
        "seeds_support": outcome.support.seeds,
        "seeds_refute": outcome.refute.seeds,
        "pairs": outcome.pairs,
        "seeds": 0,
        "unsettled": "",
        "ended": "",
        "note": outcome.note,
        "figure": "",
        "runs": "",
    }


def _side(side: Any) -> str:
    if side is None:
        return ""
    more = ", ".join(f"{key} = {value}" for key, value in side.where.items())
    return f"{side.curve} ({more})" if more else str(side.curve)


def _remarks(claim: Any, runs: Sequence[Run], against: Sequence[Run], words: Callable[[Any, Run], str]) -> str:
    """The remarks on runs, joined; runs without a remark are left out."""
    remarks = {}
    for side, group in ((claim.curve, runs), (getattr(claim, "against", None), against)):
        for number, run in enumerate(group):
            if remark := words(claim, run):
                step = f" at {claim.values[number]}" if hasattr(claim, "along") else ""
                remarks[run.spec.run_id] = f"{_side(side)}{step}: {remark}"
    return "; ".join(remarks.values())


def _unsettled(claim: Any, run: Run) -> str:
    """How many seeds are not at a plateau. A test at the end also reports seeds that still move."""
    at: When = "plateau" if claim.at == "end" else claim.at
    moving = ~_levels(claim, run, at).settled & (run.status != Status.UNDEFINED)
    return f"{moving.sum()} of {len(moving)} seeds not at a plateau" if moving.any() else ""


def _ended(claim: Any, run: Run) -> str:
    """How many seeds diverged, overflowed or were poisoned, if that counts; or why it is undefined or undecodable."""
    if run.spec.undefined is not None:
        return f"undefined: {run.spec.undefined}"
    if run.spec.undecodable is not None:
        return f"beyond its radius: {run.spec.undecodable}"
    gone = _levels(claim, run, claim.at).diverged
    counts = {status.word: int((run.status[gone] == status).sum()) for status in RAN_AWAY}
    return ", ".join(f"{count} of {len(gone)} seeds {word}" for word, count in counts.items() if count)


def _levels(claim: Any, run: Run, at: When) -> Levels:
    return run.levels(getattr(claim, "quantity", "excess_loss"), at)
