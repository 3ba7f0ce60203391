"""Whether stored results are those that a configuration asks for, whole, of this code, and as the reference has them.

:func:`~byzcode.verify.expected.expected` says what should be there, :func:`~byzcode.verify.files.look` what is,
:func:`~byzcode.verify.reference.compare` how far that is from kept tables, :mod:`~byzcode.verify.report` all of it in
words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from byzcode.errors import UserError as UserError
from byzcode.errors import printable
from byzcode.execution.progress import progress
from byzcode.studies.files import folder
from byzcode.studies.plan import Plan
from byzcode.verify import report
from byzcode.verify.archived import of_manifest
from byzcode.verify.expected import Item, expected
from byzcode.verify.files import Found, left_over, look
from byzcode.verify.reference import Compared, compare


@dataclass(frozen=True)
class Verification:
    """What was found in a folder of results."""

    items: Sequence[Item]
    found: Sequence[Found]
    left: Mapping[Path, Sequence[str]]  # what nobody asked for, by folder
    unpacked: Sequence[str]  # faults of what came out of an archive
    remade: Sequence[str]  # what of it was made anew
    compared: Sequence[Compared]
    alone: Sequence[Path]  # tables of the reference that are not among the results
    reference: Path

    @classmethod
    def of(cls, plan: Plan, results: Path, reference: Path | None = None) -> Verification:
        """Look at all that a configuration asks for. Without a ``reference``, the results' own, if there is one.

        Raises UserError where there are no results, or no reference where one is named.
        """
        items = expected(plan, folder(results), progress)
        kept = results / "reference" if reference is None else reference
        compared, alone = compare(results, kept) if reference is not None or kept.is_dir() else ([], [])
        found = look(items, progress)
        whole = {path for one in found if one.state in ("current", "stale") for path in one.item.paths}
        unpacked, remade = of_manifest(results, whole)
        return cls(items, found, left_over(items, results), unpacked, remade, compared, alone, kept)

    def tables(self) -> list[Table]:
        """What is there, and how far it is from the reference, if there is one."""
        about = [report.of_files(self.found, self.left)]
        return about + ([report.of_reference(self.compared, self.reference)] if self.compared else [])

    def faults(self, *, allow_stale: bool = False) -> list[str]:
        """A line for each fault. Stale results are none if they are allowed."""
        ours = [line for one in self.found if not (allow_stale and one.state == "stale") for line in one.faults]
        beside = dict.fromkeys(line for one in self.compared for line in one.faults)
        return [*ours, *self.unpacked, *beside]

    def lines(self, *, allow_stale: bool = False) -> list[str]:
        """What is to be said beside the tables: what is no fault, then the faults."""
        told = [line for one in self.found if allow_stale and one.state == "stale" for line in one.faults]
        noted = [
            *report.notes(self.found, self.left),
            *report.folded(self.remade),
            *report.only_kept(self.alone),
            *([] if self.compared or self.alone else [f"{self.reference}: not compared: there is no reference"]),
            *report.folded(told),
        ]
        said = [
            *(f"Note: {line}" for line in noted),
            *(f"Fault: {line}" for line in report.folded(self.faults(allow_stale=allow_stale))),
        ]
        return [printable(line) for line in said]  # a name of a file may hold anything
