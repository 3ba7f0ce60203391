"""Tables by hand, with the lists of checksums that the commands write beside their own."""

from __future__ import annotations

import json
from pathlib import Path

from byzcode.storage import checksums


def vouched(path: Path, stage: str = "summarise", request: str = "{}") -> Path:
    """A table that is there, vouched for as made for a request. An empty one has nothing to be vouched for."""
    if path.stat().st_size:
        checksums.write(checksums.beside(path), stage, json.loads(request), [path])
    return path
