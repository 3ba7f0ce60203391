"""Process groups, as /proc shows them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def members(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group, *_ = path.read_text(errors="replace").rpartition(")")[2].split()
            if int(its_group) == group and state not in "ZX":
                found.append(int(path.parent.name))
    return found
