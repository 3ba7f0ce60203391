"""The sources of this package, as they are on the disk, and as they were when it was loaded.

They are read when the package is first imported, before the modules that compute: what is edited after that is noticed
by comparing again before a result is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
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
