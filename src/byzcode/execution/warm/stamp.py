"""The state of all sources of this package: a change of it means that they may have been edited."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from byzcode.provenance.sources import PACKAGE, SUFFIXES

#: The sources, and what is compiled from them.
_SUFFIXES = (*SUFFIXES, ".so")


def stamp(package: Path = PACKAGE) -> str:
    """A hash of the times and sizes of all sources, and of the folder with the installed libraries.

    It takes two milliseconds, where reading the sources takes twenty. An installation changes the time of the folder.
    """
    state = [*sorted(_sources(package)), _state(Path(sysconfig.get_path("purelib")))]
    return hashlib.sha256("\n".join(state).encode("utf-8", "surrogateescape")).hexdigest()


def _sources(package: Path) -> Iterator[str]:
    for folder, _, names in os.walk(package):
        for name in names:
            if name.endswith(_SUFFIXES):
                yield f"{folder}/{name} {_state(Path(folder, name))}"


def _state(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:  # removed a moment ago
        return "missing"
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
