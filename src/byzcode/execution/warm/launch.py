"""The start and the end of a server, by the Snakemake run whose jobs it starts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from byzcode.errors import complain
from byzcode.execution.warm.client import DESCRIPTOR, OWNER, PYTHON
from byzcode.execution.warm.stamp import stamp

#: The user's variable that turns warm starts off.
SWITCH = "BYZCODE_WARM_STARTS"

#: The fewest jobs for which a server pays: its start takes as long as that of three jobs.
FEWEST = 4

#: The folder with the client.
FOLDER = Path(__file__).parent / "bin"

#: The file for what a server says if it cannot serve.
_LOG = Path(".snakemake/byzcode.warm.log")

#: What Snakemake sets for jobs of one thread. The server has the same, as libraries read it when they are imported.
_THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")}
_THREADS["VECLIB_MAXIMUM_THREADS"] = "1"

Inherited = Callable[[Sequence[int]], None]


def wanted() -> bool:
    """Whether the user's variable allows warm starts. Raises UserError for other values than on and off."""
    value = os.environ.get(SWITCH, "on")
    if value not in ("on", "off"):
        raise complain("the environment", SWITCH, value, "allowed: on, off")
    return value == "on"


def command(requests: int) -> list[str]:
    """The command of a server that reads requests from an open file; the sources are stamped now, before it starts."""
    return [sys.executable, "-P", "-m", "byzcode.cli.warm", str(requests), stamp()]


@dataclass(eq=False)
class WarmStarts:
    """A server and the environment that leads jobs to it. All modules of a Snakemake share it."""

    _process: subprocess.Popen[bytes]
    _clients: socket.socket
    _before: dict[str, str | None]
    _inherited: Inherited
    _running: ClassVar[WarmStarts | None] = None

    @classmethod
    def begin(cls, jobs: int, inherited: Inherited) -> None:
        """Start a server, if it pays for this number of jobs. ``inherited`` sets open files that jobs inherit.

        Raises UserError for a wrong value of the user's variable.
        """
        if not wanted() or jobs < FEWEST or cls._running or not _possible():
            return
        with suppress(OSError):  # without a server, jobs start plainly
            cls._running = cls._start(inherited)

    @classmethod
    def _start(cls, inherited: Inherited) -> WarmStarts:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, _LOG.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - this Python
                command(theirs.fileno()),
                stdin=subprocess.PIPE,  # the lifeline of the server
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, **_THREADS},
                pass_fds=[theirs.fileno()],
            )
        leading = {
            "PATH": os.pathsep.join([str(FOLDER), os.environ["PATH"]]),
            os.fsdecode(DESCRIPTOR): str(ours.fileno()),
            os.fsdecode(PYTHON): sys.executable,
            os.fsdecode(OWNER): str(os.getpid()),
        }
        before = {name: os.environ.get(name) for name in leading}
        os.environ.update(leading)
        inherited([ours.fileno()])
        return cls(process, ours, before, inherited)

    @classmethod
    def end(cls) -> None:
        """End the server, with all its jobs. A second call does nothing."""
        if running := cls._running:
            cls._running = None
            running._stop()

    def _stop(self) -> None:
        self._inherited([])
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        assert self._process.stdin is not None
        self._process.stdin.close()  # for its successor, if there is one
        self._clients.close()
        self._process.kill()  # it has nothing to save, and the kernel ends its children
        self._process.wait()


def _possible() -> bool:
    """Whether this system has what a server needs, and whether jobs would run the command that belongs to it."""
    if sys.platform != "linux" or not os.environ.get("PATH"):
        return False
    path = shutil.which("byzcode")
    if path is None or not os.access(FOLDER / "byzcode", os.X_OK):
        return False
    return Path(path).parent.resolve() == Path(sys.executable).parent.resolve()
