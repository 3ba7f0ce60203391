"""The sources of this package: as they are on disk, and as they were when the package was loaded.

They are first read when the package is imported, before the modules that compute. Before a result is stored they are
read and compared again, so that an edit in between is noticed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

#: The suffixes of source files: modules, compiled kernels, styles and templates of pages.
SUFFIXES = (".py", ".cpp", ".h", ".css", ".jinja")


def read(folder: Path = PACKAGE) -> dict[str, str]:
    """The text of each source in a folder, by its path relative to the folder."""
    texts = {}
    for place, _, names in os.walk(folder):  # half the time of rglob, which every start of a process would pay
        within = "" if place == str(folder) else f"{place[len(str(folder)) + 1 :]}/".replace(os.sep, "/")
        for name in names:
            if name.endswith(SUFFIXES) and os.path.isfile(path := f"{place}{os.sep}{name}"):  # noqa: PTH113
                with open(path, "rb") as file:  # noqa: PTH123
                    texts[within + name] = file.read().decode("utf-8", "replace")
    return dict(sorted(texts.items()))


@cache
def loaded() -> Mapping[str, str]:
    """The sources at the time of the first call, which happens when the package is imported."""
    return read()
