"""The sources of this package: as they were when it was loaded, and whether they still are.

They are read when the package is first imported, before the modules that compute: whatever is edited after that is
noticed by whoever compares before storing a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

#: The suffixes of what counts as source: modules, compiled kernels, parts of pages.
SUFFIXES = (".py", ".cpp", ".h", ".css", ".jinja")


def read(folder: Path = PACKAGE) -> dict[str, str]:
    """The text of each source in a folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode("utf-8", "replace") for path in files}


@cache
def loaded() -> Mapping[str, str]:
    """The sources as they were at the first call, which is made when the package is imported."""
    return read()


def edited(names: Iterable[str]) -> list[str]:
    """Which of some sources are no longer as they were loaded."""
    before = loaded()
    return [name for name in names if name in before and _now(PACKAGE / name) != before[name]]


def _now(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None
