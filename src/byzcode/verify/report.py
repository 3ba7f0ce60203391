"""The findings of a verification as tables and lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from byzcode.kernels import native
from byzcode.storage.layout import STAGES
from byzcode.verify.files import LIBRARIES, Found, installed
from byzcode.verify.reference import Compared


def of_files(found: Sequence[Found], left: Mapping[Path, Sequence[str]]) -> Table:
    """A table that counts, per kind, the results that are expected, present, intact and of the current code."""
    table = Table(title="Results")
    for header, side in (("", "left"), *((name, "right") for name in _COUNTS), ("made with", "left")):
        table.add_column(header, justify="right" if side == "right" else "left")
    for kind in dict.fromkeys(one.item.kind for one in found):
        of_kind = [one for one in found if one.item.kind == kind]
        states = Counter(one.state for one in of_kind)
        whole = states["current"] + states["stale"]
        here = {one.item.path.parent for one in of_kind if STAGES[one.item.stage].folder}
        counts = (len(of_kind), whole + states["damaged"], whole, states["current"], _odd(left, here))
        table.add_row(kind, *map(str, counts), escape(_versions(of_kind)))
    return table


_COUNTS = ("asked for", "present", "whole", "current", "not asked for")


def of_reference(found: Sequence[Compared], reference: Path) -> Table:
    """A table of the largest deviation of each quantity from the reference, over the tables of a kind."""
    table = Table(title=f"Beside {escape(str(reference))}")
    for header in ("", "quantity", "tables", "rows", "largest deviation", "allowed", "within"):
        table.add_column(header, justify="right" if header in ("tables", "rows", "largest deviation") else "left")
    for kind, quantity in dict.fromkeys((one.kind, one.quantity) for one in found):
        same = [one for one in found if (one.kind, one.quantity) == (kind, quantity)]
        largest = max(one.largest for one in same)
        table.add_row(
            kind,
            quantity.name,
            str(len(same)),
            str(sum(one.rows for one in same)),
            f"{largest:.1e}" if largest else "none",
            _allowed(quantity.relative, quantity.absolute),
            "no" if any(one.faults for one in same) else "yes",
        )
    return table


def notes(found: Sequence[Found], left: Mapping[Path, Sequence[str]]) -> list[str]:
    """Findings that are no faults: files made with other versions than those installed, and unexpected files."""
    here = installed()
    said = []
    for name in LIBRARIES:
        for made, count in Counter(one.versions[name] for one in found if name in one.versions).items():
            if made != here[name]:
                said.append(f"{count} files were made with {name} {made}; here it is {here[name]}")
    processors = Counter(one.processor for one in found if one.processor)
    if len(processors) > 1:  # their bits may differ
        said += [f"{count} trajectories were made on a processor with {name}" for name, count in processors.items()]
    said += filter(None, [native.unused()])
    said += [f"{folder}: not asked for: {_some(names)}" for folder, names in left.items()]
    return said


def only_kept(alone: Sequence[Path]) -> list[str]:
    """Notes on tables that only the reference has. If they were requested, another check reports them as missing."""
    folders = Counter(path.parent for path in alone)
    return [f"{folder}: not compared: {count} of its tables not made here" for folder, count in folders.items()]


def folded(lines: Iterable[str]) -> list[str]:
    """Lines ``file: reason``, where many files with the same reason are combined into one line."""
    files: dict[str, list[str]] = {}
    for line in lines:
        file, _, reason = line.partition(": ")
        files.setdefault(reason, []).append(file)
    return [
        line
        for reason, of in files.items()
        for line in ([f"{file}: {reason}" for file in of] if len(of) <= _FEW else [f"{_some(of)}: {reason}"])
    ]


#: Up to this many files with the same reason get a line each.
_FEW = 10


def counted(faults: Sequence[str]) -> str:
    """The number of faults in words."""
    return "1 fault" if len(faults) == 1 else f"{len(faults)} faults"


def _odd(left: Mapping[Path, Sequence[str]], folders: Iterable[Path]) -> int:
    return sum(len(left.get(folder, ())) for folder in folders)


def _versions(found: Sequence[Found]) -> str:
    """The distinct versions of each library with which the files were made."""
    made = {name: sorted({one.versions[name] for one in found if name in one.versions}) for name in LIBRARIES}
    return ", ".join(f"{name} {' and '.join(versions)}" for name, versions in made.items() if versions)


def _allowed(relative: float, absolute: float) -> str:
    parts = [f"{relative:g} of it"] * bool(relative) + [f"{absolute:g}"] * bool(absolute)
    return " + ".join(parts) or "none"


def _some(names: Sequence[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
