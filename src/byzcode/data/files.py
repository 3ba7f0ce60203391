"""The files of data sets: what is pinned of each, where they lie, and how they are read.

Nothing but the pinned bytes is ever used: each file is compared with its size and its sha256 whenever it is read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from byzcode.errors import UserError, short

#: The environment variable that names the folder of the data sets, and the folder if it is not set.
ENVIRONMENT, FOLDER = "BYZCODE_DATA", "results/data"


class DataFile(NamedTuple):
    """A file of a data set, decompressed: its name, its size in bytes and its sha256."""

    name: str
    size: int
    sha256: str

    def fault(self, content: bytes) -> str | None:
        """Why some bytes are not this file, or None if they are."""
        if len(content) < self.size:
            return f"cut or foreign: {len(content)} bytes, expected {self.size}"
        if len(content) > self.size:
            return f"foreign: more than {self.size} bytes"
        sha256 = hashlib.sha256(content).hexdigest()
        return None if sha256 == self.sha256 else f"corrupt or foreign: its sha256 is {sha256}, expected {self.sha256}"


def use(folder: Path) -> None:
    """Read data sets from this folder, in this process and in those that it starts."""
    os.environ[ENVIRONMENT] = str(folder)


def place_of(name: str) -> Path:
    """The folder of a data set's files."""
    return Path(os.environ.get(ENVIRONMENT) or FOLDER) / name


def require(name: str, files: Iterable[DataFile]) -> None:
    """Raise UserError if a file of a data set is missing or has another size. Reads no file."""
    for file in files:
        path = place_of(name) / file.name
        try:
            about = path.stat()
        except OSError as error:
            raise _unusable(name, path, error.strerror or str(error)) from None
        if not stat.S_ISREG(about.st_mode):  # to open a pipe would block
            raise _unusable(name, path, "not a regular file")
        if about.st_size != file.size:
            raise _unusable(name, path, f"cut or foreign: {about.st_size} bytes, expected {file.size}")


def contents(name: str, files: Iterable[DataFile]) -> dict[str, bytes]:
    """The contents of the files of a data set, by name. Raises UserError if one is missing or not the pinned one."""
    files = tuple(files)
    require(name, files)
    read = {}
    for file in files:
        path = place_of(name) / file.name
        try:
            read[file.name] = path.read_bytes()
        except OSError as error:
            raise _unusable(name, path, error.strerror or str(error)) from None
        if fault := file.fault(read[file.name]):
            raise _unusable(name, path, fault)
    return read


def _unusable(name: str, path: Path, why: str) -> UserError:
    folder = f"{ENVIRONMENT}, or --data of a training, names the folder that contains {name}/"
    how = f"`byzcode data {name}` brings the data set; {folder}"
    return UserError(f"{short(path, 200)}: {why}; {how}")
