"""The lessons that measured verdicts bear out, from the scorecard of `make open-questions`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from byzcode.errors import UserError
from byzcode.recommend.lessons import LESSONS, SITUATIONS, STATED, Lesson, Verdict, holding
from byzcode.recommend.measured import OPEN
from byzcode.recommend.need import Need
from byzcode.recommend.words import count
from byzcode.storage import checksums
from byzcode.storage.layout import STAGES
from byzcode.storage.seal import content_of

#: The folder of the tables that the repository keeps, in that of the results.
KEPT = "reference"
#: The largest difference between the alpha of a need and that of a test that counts.
FARTHEST_ALPHA = 0.1
#: Said of a situation without a lesson.
_NO_VERDICT = "no verdict near this alpha bears out any advice."
_NO_SCORECARD = "no verdicts; `make open-questions` makes them."
_MEASURED_ON = "Measured on linear regression, in studies digits-* on sorted digits, with 85 to 100 devices"
_COLUMNS = ("study", "claim", "place", "verdict", "runs")
_OPPOSITE: dict[Verdict, Verdict] = {"supported": "refuted", "refuted": "supported"}


@dataclass(frozen=True)
class Taught:
    """A lesson that its tests bear out: their verdicts, the alphas of their runs, and the ids of these runs."""

    lesson: Lesson
    alphas: tuple[float, ...]
    verdicts: Counter[str]
    runs: tuple[str, ...]

    @property
    def words(self) -> str:
        """The advice and what it rests on."""
        first, *others = sorted(self.verdicts, key=lambda verdict: verdict != self.lesson.verdict)
        told = f"{first} in {self.verdicts[first]} of {count(self.verdicts.total(), 'test')}"
        told += "".join(f", {verdict} in {self.verdicts[verdict]}" for verdict in others)
        alphas = " and ".join(f"{alpha:g}" for alpha in self.alphas)
        under = f"{self.lesson.attack}, " if self.lesson.attack else ""
        return f"{self.lesson.advice} ({self.lesson.study}, {self.lesson.claim}, {under}alpha = {alphas}: {told})"


def taught(need: Need, stated: Collection[str], scorecard: Path | None) -> list[Taught]:
    """The lessons for the situations that hold, by situation; none without a scorecard. Raises UserError."""
    if scorecard is None:
        return []
    table = _read(scorecard)
    wanted = [lesson for name in holding(need, stated) for lesson in LESSONS if lesson.situation == name]
    return [each for lesson in wanted if (each := _judged(need, lesson, table)) is not None]


def lines(told: Collection[Taught], stated: Collection[str], scorecard: Path | None) -> list[str]:
    """The lessons as text, and the situations that were stated without any lesson."""
    text = []
    for name, situation in SITUATIONS.items():
        own = [each.words for each in told if each.lesson.situation == name]
        text += [f"If {situation.words}:", *(f"- {words}" for words in own)] if own else []
        if name in stated and not own:
            text.append(f"If {situation.words}: {_NO_VERDICT if scorecard else _NO_SCORECARD}")
    if told:
        text.append(f"{_MEASURED_ON}: {scorecard}")
    if told and not stated:
        text.append(f"More was measured for --expect {', '.join(STATED)}.")
    return text


def record(told: Collection[Taught]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [
        {
            "situation": each.lesson.situation,
            "advice": each.lesson.advice,
            "study": each.lesson.study,
            "claim": each.lesson.claim,
            "attack": each.lesson.attack,
            "rests_on": each.lesson.verdict,
            "verdicts": dict(each.verdicts),
            "alphas": each.alphas,
            "runs": each.runs,
        }
        for each in told
    ]


def scorecard_in(results: Path) -> Path | None:
    """The scorecard of the open questions in a folder of results, else the kept one; None without either."""
    both = (STAGES["scorecard"].table(folder / OPEN, "scorecard") for folder in (results, results / KEPT))
    return next((path for path in both if path.exists()), None)


def _read(path: Path) -> pd.DataFrame:
    """A scorecard. One that was made has a list of checksums beside it; a kept one has none."""
    kept = path.parent.parent.name == KEPT
    content = BytesIO(content_of(path)) if kept else checksums.checked(path, "scorecard")
    try:
        table = pd.read_csv(content, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise UserError(f"{path}: not a table: {error}") from None
    if missing := [column for column in _COLUMNS if column not in table]:
        raise UserError(f"{path}: not a scorecard: it has no column {missing[0]}")
    return table


def _judged(need: Need, lesson: Lesson, table: pd.DataFrame) -> Taught | None:
    """A lesson with the tests nearest in alpha; None if they do not bear it out, or if none is near."""
    tests = table[(table["study"] == lesson.study) & (table["claim"] == lesson.claim)]
    alphas = pd.to_numeric(_value(tests, "byzantine.alpha"), errors="coerce").fillna(lesson.alpha)
    comparable = (alphas == 0) == (need.f == 0)
    for key, values in lesson.where.items():
        comparable &= _value(tests, key).isin(values)
    away = (alphas - need.alpha).abs().where(comparable, np.inf)
    is_near = away <= min(FARTHEST_ALPHA, away.min()) + 1e-9
    near = tests[is_near]
    verdicts = Counter(near["verdict"])
    if not verdicts[lesson.verdict] or verdicts[_OPPOSITE[lesson.verdict]]:
        return None
    runs = tuple(dict.fromkeys(run for each in near["runs"] for run in each.split()))
    return Taught(lesson, tuple(sorted(set(alphas[is_near]))), verdicts, runs)


def _value(tests: pd.DataFrame, key: str) -> pd.Series[str]:
    """The value of a key in the place of each test, such as ``attack = alie, byzantine.alpha = 0.2``."""
    return tests["place"].str.extract(rf"(?:^|, ){re.escape(key)} = ([^,]*)", expand=False)
