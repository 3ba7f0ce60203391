"""Copy the figures that the pages show from the results, and note what each shows: ``make docs-figures``.

``docs/figures.json`` holds, for each picture, a hash of the file, of the request of its figure and of the stored
results that it shows. A test compares them with the studies and with ``results/reference`` to find old pictures.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from byzcode.errors import UserError
from byzcode.provenance.content import short_hash
from byzcode.storage import checksums
from byzcode.storage.layout import STAGES
from byzcode.studies.plan import Plan, load_plan_file

DOCS = Path(__file__).parent
ROOT = DOCS.parent
NOTED = DOCS / "figures.json"
#: The pictures of the pages and the figures that they show. The picture of the benchmarks is made by `make bench`.
FIGURES = {
    "bounds": "bounds-redundancy",
    "cra-d-plateau": "cra-d-plateau",
    "cra-designs": "cra-designs-excess",
    "lad-a-costs": "lad-a-costs",
    "real-digits": "real-digits-accuracy",
    "sgc-crossover": "sgc-crossover-plateau",
}
MULTIVERSE = "multiverse"


def request_of(plan: Plan, picture: str) -> str:
    """A hash of the request of a picture's figure; of the multiverse, which has no such request, an empty text."""
    if picture == MULTIVERSE:
        return ""
    planned, plot = plan.figures[FIGURES[picture]]
    return short_hash(planned.figure_json(plot))


def tables_of(plan: Plan, picture: str, summaries: Path, multiverse: Path) -> str:
    """A hash of the tables of the results that a picture shows."""
    if picture == MULTIVERSE:
        return _hash(multiverse / f"{name}.csv" for name in STAGES["multiverse"].tables)
    planned, _ = plan.figures[FIGURES[picture]]
    return _hash([summaries / f"{planned.study.study}.csv"])


def hash_of(picture: str) -> str:
    """A hash of a picture of the pages."""
    return _hash([DOCS / f"{picture}.png"])


def _hash(paths: Iterable[Path]) -> str:
    content = hashlib.sha256()
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: no such file: run `make reproduce multiverse` first")
        content.update(path.read_bytes())
    return content.hexdigest()[:12]


def make() -> None:
    """Copy all pictures and note what they show; without ``make multiverse`` its picture stays as it is.

    Raises UserError if a figure is missing or old.
    """
    plan = load_plan_file()
    results = ROOT / plan.config.results
    noted = json.loads(NOTED.read_text(encoding="utf-8"))
    for picture in (*FIGURES, MULTIVERSE):
        if picture == MULTIVERSE:
            source = results / "multiverse" / "multiverse.png"
            if not source.exists():
                print("docs-figures: multiverse.png stays as it is: `make multiverse` has not been run")
                continue
            checksums.checked(source, "multiverse")
        else:
            source = STAGES["figure"].path(results, FIGURES[picture]).with_suffix(".png")
            checksums.checked(source, "figure", request_of(plan, picture))
        shutil.copyfile(source, DOCS / f"{picture}.png")
        tables = tables_of(plan, picture, results / "summaries", results / "multiverse")
        noted[picture] = {"file": hash_of(picture), "request": request_of(plan, picture), "tables": tables}
    NOTED.write_text(json.dumps(noted, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        make()
    except UserError as error:
        sys.exit(f"docs-figures: {error}")
