"""The type of a route, and what routes share: they run programs, and read plain or compressed files."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

from byzcode.data import DataFile, DataSet
from byzcode.errors import printable, short
from byzcode.lazy import Entry
from byzcode.storage.regular import opened, reason


class RouteError(Exception):
    """Why a route does not bring a file, in a few words."""


class Found(NamedTuple):
    """A file that a route has found, decompressed, the place that it comes from, and why it is refused, if it is."""

    file: DataFile
    content: bytes
    place: str
    fault: str | None


class Task(NamedTuple):
    """The files that a route shall find: of which data set, with a folder for scratch files and that of the user."""

    name: str
    known: DataSet
    files: Sequence[DataFile]
    scratch: Path
    given: Path | None


@dataclass(frozen=True)
class Route(Entry):
    """The table entry of a route: ``route(task)`` yields the files that it finds.

    Raises RouteError if it finds none. An ``original`` route needs an origin in the entry of the data set.
    """

    function: Callable[[Task], Iterator[Found]]
    original: bool = True

    def __call__(self, task: Task) -> Iterator[Found]:
        """Find files; see the class."""
        return self.function(task)


#: Bytes at the start of a gzip stream. No file of a data set starts with them when it is decompressed.
_GZIP = b"\x1f\x8b"


def run(folder: Path, *command: str) -> None:
    """Run a program in a folder. Raises RouteError if it is not installed or fails, with its first complaint."""
    program = shutil.which(command[0])
    if program is None:
        raise RouteError(f"{command[0]} is not installed")
    ended = subprocess.run(  # noqa: S603
        [program, *command[1:]],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if ended.returncode:
        lines = [line.strip() for line in ended.stdout.splitlines() if line.strip()] or ["it says nothing"]
        complaints = [line for line in lines if "err" in line.lower() or line.startswith("E:")]
        raise RouteError(f"{command[0]} fails: {printable(short((complaints or lines)[0], 200))}")


def only(folder: Path, pattern: str) -> Path:
    """The package that a program has written to a folder. Raises RouteError if there is not exactly one."""
    packages = sorted(folder.glob(pattern))
    if len(packages) != 1:
        raise RouteError(f"{len(packages)} files {pattern} were downloaded; expected 1")
    return packages[0]


def found(file: DataFile, path: Path, place: str) -> Found:
    """A file on disk, plain or compressed. Raises RouteError if it cannot be read."""
    try:
        with opened(path) as stream:
            return read(file, stream, place)
    except (OSError, ValueError) as error:
        raise RouteError(f"{place}: {reason(error)}") from None


def read(file: DataFile, stream: IO[bytes], place: str) -> Found:
    """A file, plain or compressed, compared with what is pinned. Not read further than its size allows."""
    content = stream.read(file.size + file.size // 100 + 1024)  # gzip makes a file at most a little longer
    fault = None
    if content.startswith(_GZIP):
        try:
            with gzip.GzipFile(fileobj=BytesIO(content)) as unzipped:
                content = unzipped.read(file.size + 1)
        except EOFError:
            fault = "cut: its gzip stream ends too early"
        except (OSError, zlib.error) as error:
            fault = f"corrupt: no valid gzip stream: {error}"
    return Found(file, content, place, fault or file.fault(content))
