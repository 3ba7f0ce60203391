"""The tables that the report is made from: the results of a configuration, or what the repository keeps of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pandas as pd

from byzcode.errors import UserError
from byzcode.provenance.content import short_hash
from byzcode.scorecard.table import NUMBERS, TEXTS, checked
from byzcode.storage import checksums
from byzcode.storage.checksums import Checklist
from byzcode.storage.layout import STAGES
from byzcode.storage.seal import content_of
from byzcode.studies.plan import Plan

#: The folder of kept tables, in that of the results.
KEPT = "reference"


@dataclass(frozen=True)
class Tables:
    """Where the tables are. Kept ones have no checksums beside them; the results do, and must be of the plan."""

    plan: Plan
    results: Path
    kept: bool

    @classmethod
    def of(cls, plan: Plan) -> Tables:
        """The results if they have a scorecard, else what is kept. Raises UserError if neither has one."""
        results = Path(plan.config.results)
        if not plan.claimed:
            raise UserError("byzcode report: no study of the configuration tests a claim")
        for kept in (False, True):
            tables = cls(plan, results, kept)
            if STAGES["scorecard"].table(tables.folder, "scorecard").exists():
                return tables
        raise UserError(f"{results}/scorecard.csv: missing, here and in {KEPT}/; `make reproduce` makes it")

    @property
    def folder(self) -> Path:
        """The folder of the tables."""
        return self.results / KEPT if self.kept else self.results

    def scorecard(self) -> pd.DataFrame:
        """The tests of all claims, with their verdicts."""
        path = STAGES["scorecard"].table(self.folder, "scorecard")
        content = self._content("scorecard", path, self.plan.scorecard_json)
        return checked(_read(content, path, {"dtype": dict.fromkeys(TEXTS, str), **_PLAIN}), path)

    def summary(self, study: str) -> pd.DataFrame:
        """A row per run of a study. Raises UserError if the configuration lacks the study or the table is missing."""
        if study not in self.plan.studies:
            raise UserError(f"byzcode report: the configuration has no study {study}, which the report shows")
        path = STAGES["summarise"].table(self.folder, study)
        return _read(self._content("summarise", path, self.plan.studies[study].summary_json), path)

    def readings(self) -> tuple[pd.DataFrame, Path]:
        """How often other readings of the papers support each claim, and the path of this table.

        `make multiverse` takes hours, so the results may lack it; then it is the kept one.
        """
        paths = [folder / STAGES["multiverse"].folder / "claims.csv" for folder in (self.folder, self.results / KEPT)]
        path = next((path for path in paths if path.exists()), paths[0])
        return _read(content_of(path), path, _PLAIN), path

    def figure(self, name: str) -> str:
        """A figure of the results as SVG. Raises UserError if it is missing, damaged or of another request."""
        planned, plot = self.plan.figures[name]
        listed = Checklist.read(STAGES["figure"].path(self.results, name))
        if listed.request != short_hash(planned.figure_json(plot)):
            raise UserError(f"{listed.path}: made for another request than the configuration's: make it anew")
        return listed.content(f"{name}.svg").decode()

    def _content(self, stage: str, path: Path, request: Callable[[], str]) -> bytes:
        if self.kept:
            return content_of(path)
        return checksums.checked(path, stage, short_hash(request())).read()


#: A label may be "NA"; only cells of numbers may be empty.
_PLAIN = {"keep_default_na": False, "na_values": {name: ["", "nan", "NaN"] for name in NUMBERS}}


def _read(content: bytes, path: Path, how: dict[str, object] | None = None) -> pd.DataFrame:
    try:
        return pd.read_csv(BytesIO(content), **(how or {}))  # type: ignore[call-overload, no-any-return]
    except ValueError as error:
        raise UserError(f"{path}: not a table: {str(error).splitlines()[0]}") from None
