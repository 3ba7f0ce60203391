"""The studies of a plan in one table, for ``byzcode plan``: how many of their runs are current, and the work left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from byzcode.execution.forecast import Size, size, table
from byzcode.storage.layout import STAGES
from byzcode.studies.plan import Plan
from byzcode.studies.planned import PlannedStudy
from byzcode.verify.states import State

if TYPE_CHECKING:
    from rich.table import Table

#: CPU seconds that short trainings may take, for rates that no stored trajectory shows.
BUDGET = 3.0

_STALE = ("of another engine", "unreadable")
_COLUMNS = ("current", "stale", "missing")


def overview(plan: Plan, states: Mapping[str, State]) -> Iterator[Table | str]:
    """A table with a row per study, and a line on the minutes in it."""
    left = {run: plan.runs[run] for run, state in states.items() if state.word != "current"}
    folder = Path(plan.config.results) / STAGES["train"].folder
    sized = size(left, folder, BUDGET) if left else None
    rows = table("study", "runs", *_COLUMNS, "CPU min left")
    for name, planned in plan.studies.items():
        rows.add_row(name, *_row(_runs(planned), states, sized))
    rows.add_section()
    rows.add_row("each run once", *_row(states, states, sized))
    yield rows
    if sized:
        guessed = f" (by means of them for {sized.guessed} of {len(left)} runs)" if sized.guessed else ""
        yield f"CPU minutes: of the runs that are not current, by measured rates{guessed}"


def _runs(planned: PlannedStudy) -> list[str]:
    return planned.run_ids() if planned.trained else []


def _row(runs: Iterable[str], states: Mapping[str, State], sized: Size | None) -> list[str]:
    words = {run: states[run].word for run in runs}
    counts = Counter("stale" if word in _STALE else word for word in words.values())
    left = [run for run, word in words.items() if word != "current"]
    minutes = f"{sized.total(left) / 60:.1f}" if sized and left else ""
    return [str(len(words)), *(str(counts[column] or "") for column in _COLUMNS), minutes]
