"""The request of a client, as the server receives it."""

from __future__ import annotations

import array
import marshal
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from byzcode.execution.warm.client import surroundings

#: Variables that may differ between a job and the server, because no library reads them when it is imported.
FREE = frozenset({b"PWD", b"OLDPWD", b"SHLVL", b"_", b"TMPDIR", b"TMP", b"TEMP", b"TEMPDIR"})

#: The fewest open files in a message, and the most, by the kernel.
_FEWEST, _MOST = 6, 253


@dataclass(frozen=True)
class Home:
    """What jobs must have in common with their server: environment and surroundings, as they were at its start."""

    environment: Mapping[bytes, bytes]
    surroundings: bytes

    @classmethod
    def of_this_process(cls) -> Home:
        """Those with which this process was started; imports may have changed ``os.environ`` since."""
        entries = Path("/proc/self/environ").read_bytes().split(b"\0")
        return cls(dict(entry.split(b"=", 1) for entry in entries if b"=" in entry), surroundings())

    def serves(self, request: Request) -> bool:
        """Whether a child of this process starts as the process of a plain start would."""
        differing = {name for name, _ in self.environment.items() ^ request.environment.items()}
        return differing <= FREE and request.surroundings == self.surroundings


@dataclass(frozen=True)
class Request:
    """A job: its command line, environment, surroundings and file mode mask, and its open files."""

    words: list[bytes]
    environment: Mapping[bytes, bytes]
    surroundings: bytes
    umask: int
    folder: int
    files: list[int]  # the standard files, then all others

    def close(self) -> None:
        """Close the files in this process."""
        for descriptor in (self.folder, *self.files):
            os.close(descriptor)


def receive(requests: socket.socket) -> tuple[socket.socket, Request] | None:
    """The connection and the request of the next client; None if this process has too many open files to take it.

    Raises EOFError if there is no client any more.
    """
    size = socket.CMSG_SPACE(_MOST * array.array("i").itemsize)
    message, ancillary, flags, _ = requests.recvmsg(16, size, socket.MSG_CMSG_CLOEXEC)
    if not message:
        raise EOFError
    descriptors = array.array("i")
    for _, _, data in ancillary:
        descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    if flags & socket.MSG_CTRUNC or len(descriptors) < _FEWEST:
        for descriptor in descriptors:  # the client sees the end of the connection, and starts plainly
            os.close(descriptor)
        return None
    connection, content, folder, *files = descriptors
    with os.fdopen(content, "rb") as file:
        file.seek(0)
        words, environment, around, umask = marshal.load(file)  # noqa: S302 - of this user, from this package
    return socket.socket(fileno=connection), Request(words, environment, around, umask, folder, files)
