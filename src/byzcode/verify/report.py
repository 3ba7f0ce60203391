"""The findings of a verification as tables and lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from byzcode.kernels import native
from byzcode.storage.layout import STAGES
from byzcode.verify.files import LIBRARIES, Finding, installed
from byzcode.verify.reference import Compared


def of_files(findings: Sequence[Finding], left: Mapping[Path, Sequence[str]]) -> Table:
    """A table that counts, per kind, the results that are expected, present, intact and of the current code."""
    table = Table(title="Results")
    for header, side in (("", "left"), *((name, "right") for name in _COUNTS), ("made with", "left")):
        table.add_column(header, justify="right" if side == "right" else "left")
    for kind in dict.fromkeys(finding.item.kind for finding in findings):
        of_kind = [finding for finding in findings if finding.item.kind == kind]
        states = Counter(finding.state for finding in of_kind)
        intact = states["current"] + states["stale"]
        folders = {finding.item.path.parent for finding in of_kind if STAGES[finding.item.stage].folder}
        counts = (len(of_kind), intact + states["damaged"], intact, states["current"], _odd(left, folders))
        table.add_row(kind, *map(str, counts), escape(_versions(of_kind)))
    return table


_COUNTS = ("expected", "present", "intact", "current", "unexpected")


def of_reference(comparisons: Sequence[Compared], reference: Path) -> Table:
    """A table of the largest deviation of each quantity from the reference, over the tables of a kind."""
    table = Table(title=f"Compared with {escape(str(reference))}")
    for header in ("", "quantity", "tables", "rows", "largest deviation", "allowed", "within"):
        table.add_column(header, justify="right" if header in ("tables", "rows", "largest deviation") else "left")
    for kind, quantity in dict.fromkeys((comparison.kind, comparison.quantity) for comparison in comparisons):
        same = [comparison for comparison in comparisons if (comparison.kind, comparison.quantity) == (kind, quantity)]
        largest = max(comparison.largest for comparison in same)
        table.add_row(
            kind,
            quantity.name,
            str(len(same)),
            str(sum(comparison.rows for comparison in same)),
            f"{largest:.1e}" if largest else "none",
            _allowed(quantity.relative, quantity.absolute),
            "no" if any(comparison.faults for comparison in same) else "yes",
        )
    return table


def notes(findings: Sequence[Finding], left: Mapping[Path, Sequence[str]]) -> list[str]:
    """Findings that are no faults: files made with other versions than those installed, and unexpected files."""
    present = installed()
    lines = []
    for name in LIBRARIES:
        for made, count in Counter(finding.versions[name] for finding in findings if name in finding.versions).items():
            if made != present[name]:
                lines.append(f"{count} files were made with {name} {made}; installed: {present[name]}")
    processors = Counter(finding.processor for finding in findings if finding.processor)
    if len(processors) > 1:  # their bits may differ
        lines += [f"{count} trajectories were made on a processor with {name}" for name, count in processors.items()]
    lines += filter(None, [native.unused()])
    lines += [f"{folder}: unexpected: {_some(names)}" for folder, names in left.items()]
    return lines


def only_kept(alone: Sequence[Path]) -> list[str]:
    """Notes on tables that only the reference has. If they were requested, another check reports them as missing."""
    folders: dict[Path, list[str]] = {}
    for path in alone:
        folders.setdefault(path.parent, []).append(path.name)
    return [f"{folder}: the results have no such tables: {_some(names)}" for folder, names in folders.items()]


def folded(lines: Iterable[str]) -> list[str]:
    """Lines ``file: reason``, where many files with the same reason are combined into one line."""
    files: dict[str, list[str]] = {}
    for line in lines:
        file, _, reason = line.partition(": ")
        files.setdefault(reason, []).append(file)
    return [
        line
        for reason, names in files.items()
        for line in ([f"{file}: {reason}" for file in names] if len(names) <= _FEW else [f"{_some(names)}: {reason}"])
    ]


#: Up to this many files with the same reason get a line each.
_FEW = 10


def counted(faults: Sequence[str]) -> str:
    """The number of faults in words."""
    return "1 fault" if len(faults) == 1 else f"{len(faults)} faults"


def _odd(left: Mapping[Path, Sequence[str]], folders: Iterable[Path]) -> int:
    return sum(len(left.get(folder, ())) for folder in folders)


def _versions(findings: Sequence[Finding]) -> str:
    """The distinct versions of each library with which the files were made."""
    made = {
        name: sorted({finding.versions[name] for finding in findings if name in finding.versions}) for name in LIBRARIES
    }
    return ", ".join(f"{name} {' and '.join(versions)}" for name, versions in made.items() if versions)


def _allowed(relative: float, absolute: float) -> str:
    parts = [f"{relative:g} of it"] * bool(relative) + [f"{absolute:g}"] * bool(absolute)
    return " + ".join(parts) or "none"


def _some(names: Sequence[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
