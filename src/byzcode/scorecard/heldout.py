"""Verdicts on held-out seeds: made in a run of their own, kept in the repository, and shown beside the others."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from byzcode.analysis.evidence import scorecard
from byzcode.analysis.marks import VERDICTS
from byzcode.errors import UserError, complain, one_of
from byzcode.scorecard.table import read, versions, with_versions
from byzcode.specs.parsing import parse
from byzcode.storage.layout import STAGES
from byzcode.studies.files import read_text, sha256_of
from byzcode.studies.requests import Beside, Heldout

#: The column of the scorecard with the verdicts on held-out seeds.
COLUMN = "verdict_heldout"

#: What is kept of each test; words that explain a claim are in the scorecard.
_KEPT = (
    *("study", "claim", "cell", "place", "mark", "kind", "test", "tested", "effect", "low", "high", "unit"),
    *("p_support", "p_refute", "p_support_missing", "p_refute_missing", "seeds_support", "seeds_refute"),
    *("pairs", "seeds", "verdict", "verdict_missing_against", "fragile", "warning"),
)
#: A test is the same on other seeds if these are equal; ``tested`` is the hash of what it tests.
_KEYS = ["study", "claim", "cell", "tested"]
#: Columns with the same value in all rows: the first seed, the hash over all claims, and whether they are registered.
_ABOUT = ("first_seed", "claims_sha256", "registered")


class Shown(NamedTuple):
    """The table of held-out seeds as the page shows it: its rows, and a line about it."""

    rows: pd.DataFrame
    words: str


def table(request: Mapping[str, Any], results: Path) -> pd.DataFrame:
    """The verdicts on held-out seeds, from results/claims/<study>.csv.

    Raises UserError if a table is missing or was made for another request.
    """
    parsed = parse(Heldout, request, "heldout request")
    tables = [read(STAGES["claims"].table(results, study), parsed.claims.get(study)) for study in parsed.studies]
    rows = scorecard(tables)
    registration = parsed.registration
    kept = rows[list(_KEPT)].copy()
    kept[list(_ABOUT)] = (parsed.first_seed, registration.digest, registration.words)
    return with_versions(kept, versions())


def shown(beside: Beside | None) -> Shown | None:
    """The table that stands beside a scorecard. Raises UserError if it is not the requested file, or no such table."""
    if beside is None:
        return None
    if sha256_of(beside.table) != beside.sha256:
        raise UserError(f"{beside.table}: not the file of the request: run Snakemake again")
    try:
        text = read_text(beside.table).encode()
        rows = pd.read_csv(BytesIO(text), dtype=str, keep_default_na=False)
        if missing := [name for name in (*_KEYS, "verdict", "seeds", *_ABOUT) if name not in rows]:
            raise ValueError(f"column {missing[0]!r} is missing")
        first, count = int(rows["first_seed"].iloc[0]), int(float(rows["seeds"].max()))
    except (ValueError, IndexError) as error:
        raise UserError(f"{beside.table}: not a table of verdicts on held-out seeds: {error}") from None
    if unknown := sorted(set(rows["verdict"]) - set(VERDICTS)):
        raise complain(beside.table, "verdict", unknown[0], one_of(VERDICTS))
    digest, registered = rows["claims_sha256"].iloc[0], rows["registered"].iloc[0]
    return Shown(rows, f"seeds {first} to {first + count - 1}, claims {registered}, sha256 {digest}")


def with_heldout(cells: pd.DataFrame, held_out: Shown | None) -> pd.DataFrame:
    """The scorecard with the verdicts on held-out seeds; empty for a test that is not in that table as it is now."""
    if held_out is None:
        return cells.assign(**{COLUMN: ""})
    verdicts = dict(zip(_keys(held_out.rows), held_out.rows["verdict"], strict=True))
    return cells.assign(**{COLUMN: [verdicts.get(key, "") for key in _keys(cells)]})


def _keys(rows: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(rows[_KEYS].itertuples(index=False, name=None))
