"""Check that results are complete, intact, made by the current code, and match the reference.

:func:`~byzcode.verify.expected.expected` lists the expected files, :func:`~byzcode.verify.files.look` inspects them,
:func:`~byzcode.verify.reference.compare` compares tables with a reference, and :mod:`~byzcode.verify.report` puts the
findings into words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

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
    """The findings about a folder of results."""

    items: Sequence[Item]
    found: Sequence[Found]
    left: Mapping[Path, Sequence[str]]  # unexpected files, by folder
    unpacked: Sequence[str]  # faults of files unpacked from an archive
    remade: Sequence[str]  # notes on unpacked files that were made again since
    compared: Sequence[Compared]
    alone: Sequence[Path]  # tables of the reference that the results lack
    reference: Path

    @classmethod
    def of(cls, plan: Plan, results: Path, reference: Path | None = None) -> Verification:
        """Check everything that a configuration requests. The default reference is that of the results, if it exists.

        Raises UserError if there are no results, or if the given ``reference`` does not exist.
        """
        items = expected(plan, folder(results), progress)
        kept = results / "reference" if reference is None else reference
        compared, alone = compare(results, kept) if reference is not None or kept.is_dir() else ([], [])
        found = look(items, progress)
        whole = {path for one in found if one.state in ("current", "stale") for path in one.item.paths}
        unpacked, remade = of_manifest(results, whole)
        return cls(items, found, left_over(items, results), unpacked, remade, compared, alone, kept)

    def tables(self) -> list[Table]:
        """A table of the files and, with a reference, a table of the deviations from it."""
        about = [report.of_files(self.found, self.left)]
        return about + ([report.of_reference(self.compared, self.reference)] if self.compared else [])

    def faults(self, *, allow_stale: bool = False) -> list[str]:
        """A line for each fault. Stale results are no faults if ``allow_stale``."""
        ours = [line for one in self.found if not (allow_stale and one.state == "stale") for line in one.faults]
        beside = dict.fromkeys(line for one in self.compared for line in one.faults)
        return [*ours, *self.unpacked, *beside]

    def lines(self, *, allow_stale: bool = False) -> list[str]:
        """The lines below the tables: first the notes, then the faults."""
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
        return [printable(line) for line in said]  # file names may contain any characters
