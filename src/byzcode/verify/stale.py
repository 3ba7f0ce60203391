"""Find the results that are current and those to be made again, by what the files say about themselves.

Snakemake calls this at its start. It reads no numbers: a file of each job has a line that names the code, the request
and the inputs that it was made from (:mod:`byzcode.storage.statement`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from byzcode.errors import UserError
from byzcode.execution.progress import silent
from byzcode.multiverse.plan import Multiverse
from byzcode.storage import seal
from byzcode.storage.inputs import hash_of_sums
from byzcode.storage.statement import Statement
from byzcode.studies.plan import Plan
from byzcode.verify.expected import Item, expected

#: Why a result is made again.
MISSING, UNREADABLE = "missing", "not readable"
CODE, REQUEST, INPUTS = "of other code", "of another request", "made from other files"


@dataclass(frozen=True)
class Standing:
    """The current files of a plan, and the files to be made again, with the reason.

    A missing allocation is neither, because it is needed only if one of its runs is trained.
    """

    current: frozenset[str] = frozenset()
    stale: dict[str, str] = field(default_factory=dict)  # the reason by file
    jobs: Counter[tuple[str, str]] = field(default_factory=Counter)  # how many, by stage and reason

    def lines(self) -> list[str]:
        """The results to be made again, a line per stage and reason."""
        return [
            f"{stage}: {count} {'result is' if count == 1 else 'results are'} {reason}"
            for (stage, reason), count in self.jobs.items()
            if reason != MISSING
        ]


def standing(plan: Plan, results: Path, multiverse: Multiverse | None) -> Standing:
    """Examine the results of a plan, and those of its multiverse, if it is given. Raises UserError."""
    tracked = plan.config.code_tracking != "off"
    reason_of = _reasons(tracked=tracked)
    current: set[str] = set()
    stale: dict[str, str] = {}
    jobs: Counter[tuple[str, str]] = Counter()
    for item in expected(plan, results, silent, multiverse=multiverse or False):
        reason = reason_of(item)
        if reason is None:
            current |= {str(path) for path in item.paths}
        elif not (reason == MISSING and item.stage == "allocate"):
            stale |= {str(path): reason for path in item.paths}
            jobs[item.stage, reason] += 1
    return Standing(frozenset(current), stale, jobs)


def _reasons(*, tracked: bool) -> Callable[[Item], str | None]:
    """A function that says why an item is to be made again, or None. It reads each file only once."""
    statement = cache(Statement.of)

    @cache
    def checksum(path: Path) -> str | None:
        try:
            return seal.checksum_in(path)
        except UserError:
            return None

    def inputs(item: Item) -> str | None:
        """The hash of an item's present inputs; None if an input is missing or not readable."""
        if item.stage == "allocate":
            return None
        if item.stage == "train":
            stored = statement(item.inputs[0])
            return stored.inputs if stored else None
        sums = [checksum(path) for path in item.inputs]
        return None if None in sums else hash_of_sums(filter(None, sums))

    def reason(item: Item) -> str | None:
        if not all(path.exists() for path in item.paths):
            return MISSING
        stored = statement(item.path)
        if stored is None or stored.stage != item.stage:
            return UNREADABLE
        if stored.request != item.request:
            return REQUEST
        if tracked and stored.code != item.code:
            return CODE
        return None if inputs(item) in (None, stored.inputs) else INPUTS

    return reason
