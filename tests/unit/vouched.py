"""Tables by hand, with the lists of checksums that the commands write beside their own."""

from __future__ import annotations

from pathlib import Path

from byzcode import checklist


def vouched(path: Path) -> Path:
    """A table that is there, vouched for. An empty one has nothing to be vouched for."""
    if path.stat().st_size:
        checklist.write(checklist.beside(path), "summarise", {}, [path])
    return path
