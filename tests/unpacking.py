"""Unpacking an archive that a test has made."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any


def unpack(archive: Path | str, folder: Path | str) -> None:
    """Unpack an archive in a folder, with the safe filter of tarfile where Python has it (3.11.4)."""
    safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as tar:
        tar.extractall(folder, **safe)
