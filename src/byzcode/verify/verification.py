"""Check that results are complete, intact, made by the current code, and match the reference.

:func:`~byzcode.verify.expected.expected` lists the expected files, :func:`~byzcode.verify.files.look` inspects them,
:func:`~byzcode.verify.reference.compare` compares tables with a reference, and :mod:`~byzcode.verify.report` puts the
findings into words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from byzcode.errors import printable
from byzcode.execution.progress import progress
from byzcode.studies.files import folder
from byzcode.studies.plan import Plan
from byzcode.verify import report
from byzcode.verify.archived import of_manifest
from byzcode.verify.expected import Item, expected
from byzcode.verify.files import Finding, left_over, look
from byzcode.verify.reference import Compared, compare


@dataclass(frozen=True)
class Verification:
    """The findings about a folder of results."""

    items: Sequence[Item]
    findings: Sequence[Finding]
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
        findings = look(items, progress)
        intact = {path for finding in findings if finding.state in ("current", "stale") for path in finding.item.paths}
        unpacked, remade = of_manifest(results, intact)
        return cls(items, findings, left_over(items, results), unpacked, remade, compared, alone, kept)

    def tables(self) -> list[Table]:
        """A table of the files and, with a reference, a table of the deviations from it."""
        tables = [report.of_files(self.findings, self.left)]
        return tables + ([report.of_reference(self.compared, self.reference)] if self.compared else [])

    def faults(self, *, allow_stale: bool = False) -> list[str]:
        """A line for each fault. Stale results are no faults if ``allow_stale``."""
        own = [
            line
            for finding in self.findings
            if not (allow_stale and finding.state == "stale")
            for line in finding.faults
        ]
        deviations = dict.fromkeys(line for comparison in self.compared for line in comparison.faults)
        return [*own, *self.unpacked, *deviations]

    def record(self) -> dict[str, Any]:
        """The findings for JSON: the state of each file, what was not expected, and the deviations."""
        return {
            "files": [
                {"path": finding.item.path, "kind": finding.item.kind, "state": finding.state, "faults": finding.faults}
                for finding in self.findings
            ],
            "unexpected": self.left,
            "reference": [
                {"file": each.file, "quantity": each.quantity.name, "rows": each.rows, "largest": each.largest}
                for each in self.compared
            ],
        }

    def lines(self, *, allow_stale: bool = False) -> list[str]:
        """The lines below the tables: first the notes, then the faults."""
        stale = [
            line for finding in self.findings if allow_stale and finding.state == "stale" for line in finding.faults
        ]
        notes = [
            *report.notes(self.findings, self.left),
            *report.folded(self.remade),
            *report.only_kept(self.alone),
            *([] if self.compared or self.alone else [f"{self.reference}: not compared: there is no reference"]),
            *report.folded(stale),
        ]
        lines = [
            *(f"Note: {line}" for line in notes),
            *(f"Fault: {line}" for line in report.folded(self.faults(allow_stale=allow_stale))),
        ]
        return [printable(line) for line in lines]  # file names may contain any characters
