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
from functools import cache
from pathlib import Path

from byzcode.errors import UserError
from byzcode.provenance.content import short_hash
from byzcode.storage import checksums
from byzcode.storage.layout import STAGES
from byzcode.studies.plan import Plan, load_plan_file

DOCS = Path(__file__).parent
ROOT = DOCS.parent
NOTED = DOCS / "figures.json"
#: The configuration of `make open-questions`; `make reproduce` makes all other figures.
OPEN = "config/open/config.yaml"
#: The pictures of the pages and the figures that they show. The picture of the benchmarks is made by `make bench`.
FIGURES = {
    "price": "price-front",
    "unknown-alpha": "unknown-alpha-regret",
    "bounds": "bounds-redundancy",
    "cra-d-plateau": "cra-d-plateau",
    "cra-designs": "cra-designs-excess",
    "lad-a-costs": "lad-a-costs",
    "real-digits": "real-digits-accuracy",
    "sgc-crossover": "sgc-crossover-plateau",
}
MULTIVERSE = "multiverse"


def plan_of(picture: str) -> Plan:
    """The plan with the figure of a picture."""
    is_open = FIGURES.get(picture) not in (None, *_plan().figures)
    return _plan(OPEN) if is_open else _plan()


@cache
def _plan(*given: str) -> Plan:
    return load_plan_file(*given)


def request_of(picture: str) -> str:
    """A hash of the request of a picture's figure; of the multiverse, which has no such request, an empty text."""
    if picture == MULTIVERSE:
        return ""
    planned, plot = plan_of(picture).figures[FIGURES[picture]]
    return short_hash(planned.figure_json(plot))


def tables_of(picture: str, results: Path) -> str:
    """A hash of the tables that a picture shows, in the results of the configuration that makes it."""
    if picture == MULTIVERSE:
        return _hash(results / MULTIVERSE / f"{name}.csv" for name in STAGES["multiverse"].tables)
    planned, _ = plan_of(picture).figures[FIGURES[picture]]
    return _hash([results / "summaries" / f"{planned.study.study}.csv"])


def reference_of(picture: str) -> Path:
    """The folder in results/reference that has its tables."""
    return ROOT / "results" / "reference" / Path(plan_of(picture).config.results).relative_to("results")


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
    """Copy all pictures and note what they show; those whose workflow has not been run stay as they are.

    Raises UserError if a figure is missing or old.
    """
    noted = json.loads(NOTED.read_text(encoding="utf-8"))
    for picture in (*FIGURES, MULTIVERSE):
        results = ROOT / plan_of(picture).config.results
        is_multiverse = picture == MULTIVERSE
        figure = (
            results / MULTIVERSE / MULTIVERSE if is_multiverse else STAGES["figure"].path(results, FIGURES[picture])
        )
        source = figure.with_suffix(".png")
        if not source.exists() and (is_multiverse or results != ROOT / "results"):
            print(f"docs-figures: {picture}.png stays as it is: its workflow has not been run")
            continue
        checksums.checked(source, *((MULTIVERSE,) if is_multiverse else ("figure", request_of(picture))))
        shutil.copyfile(source, DOCS / f"{picture}.png")
        noted[picture] = {
            "file": hash_of(picture),
            "request": request_of(picture),
            "tables": tables_of(picture, results),
        }
    NOTED.write_text(json.dumps(noted, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        make()
    except UserError as error:
        sys.exit(f"docs-figures: {error}")
