"""The sources of this package: as they are on disk, and as they were when the package was loaded.

They are first read when the package is imported, before the modules that compute. Before a result is stored they are
read and compared again, so that an edit in between is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

#: The suffixes of source files: modules, compiled kernels, styles and templates of pages.
SUFFIXES = (".py", ".cpp", ".h", ".css", ".jinja")


def read(folder: Path = PACKAGE) -> dict[str, str]:
    """The text of each source in a folder, by its path relative to the folder."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode("utf-8", "replace") for path in files}


@cache
def loaded() -> Mapping[str, str]:
    """The sources at the time of the first call, which happens when the package is imported."""
    return read()
