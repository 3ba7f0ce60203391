"""Find the files that are current for a plan."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from byzcode.execution.progress import silent
from byzcode.storage.layout import STAGES
from byzcode.studies.plan import Plan
from byzcode.verify.expected import expected
from byzcode.verify.files import look


def current(plan: Plan, results: Path, files: Collection[Path]) -> set[Path]:
    """The files whose jobs are current: all outputs are intact, of the current code and as the plan requests."""
    multiverse = any(file.is_relative_to(results / STAGES["multiverse"].folder) for file in files)
    items = expected(plan, results, silent, multiverse=multiverse)
    items = [item for item in items if not set(item.paths).isdisjoint(files)]
    return {path for finding in look(items, silent) if finding.state == "current" for path in finding.item.paths}
