"""The server of warm starts: it forks a child per job, and tells the client how the child has ended."""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from byzcode.execution.warm.client import ACCEPTED, ENDED, FORWARDED, PLAINLY, STATUS
from byzcode.execution.warm.request import Home, Request, receive

#: The standard input of a server, which ends when Snakemake ends.
LIFELINE = 0

#: Seconds in which a signal for the server and one for a client count as one signal for their process group.
_TOGETHER = 1.0

#: The signals that a server handles; they are blocked in a child until it runs its job.
HANDLED = (*FORWARDED, signal.SIGCHLD)
_PR_SET_PDEATHSIG = 1


@dataclass(eq=False)
class Child:
    """The child of a job; the connection is None after the client has ended."""

    process: int
    connection: socket.socket | None


@dataclass(eq=False)
class Server:
    """A server: ``requests`` is its end of the socket pair, ``home`` what its jobs must have in common with it.

    ``prepare`` imports what a job needs. ``is_current`` returns whether the sources are those of the start. ``succeed``
    starts a successor.
    """

    requests: socket.socket
    home: Home
    prepare: Callable[[Request], None]
    is_current: Callable[[], bool]
    succeed: Callable[[], None]
    _children: dict[int, Child] = field(default_factory=dict)  # by process
    _signals: dict[int, float] = field(default_factory=dict)  # when each came last
    _retired: bool = False

    def serve(self) -> Request:
        """Serve until Snakemake ends, which ends this process. Returns only in the child of a job, with its request."""
        self._before = {number: signal.getsignal(number) for number in HANDLED}
        self._wake, wake = socket.socketpair()
        self._wake.setblocking(False)
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, self._note)
        while True:
            if request := self._turn():
                wake.close()
                self._wake.close()
                return request

    def _note(self, number: int, _: FrameType | None) -> None:
        self._signals[number] = time.monotonic()

    def _turn(self) -> Request | None:
        """Wait for the next events and handle them. Returns a request in its child."""
        if self._retired and not self._children:
            self._end()
        poll = select.poll()
        poll.register(LIFELINE, 0)  # only its end
        poll.register(self._wake, select.POLLIN)
        if not self._retired:
            poll.register(self.requests, select.POLLIN)
        by_connection = {child.connection.fileno(): child for child in self._children.values() if child.connection}
        for descriptor in by_connection:
            poll.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll()]
        if LIFELINE in ready:
            self._end()
        for descriptor in ready:
            if descriptor in by_connection:
                self._heed(by_connection[descriptor])
        self._reap()
        return self._next() if self.requests.fileno() in ready else None

    def _end(self) -> NoReturn:
        """End with Snakemake: end all children, and the clients that still wait."""
        for process in self._children:
            os.kill(process, signal.SIGKILL)
        for process in self._children:
            os.waitpid(process, 0)
        if not self._retired:
            self.requests.setblocking(False)
            with suppress(BlockingIOError, EOFError):
                while True:
                    if received := receive(self.requests):
                        _tell(received[0], ENDED)
        os._exit(0)

    # --- a job -------------------------------------------------------------------------------------------------------

    def _next(self) -> Request | None:
        """Accept the next job, or let it start plainly. Returns its request in the child."""
        try:
            received = receive(self.requests)
        except EOFError:  # no client is left, and Snakemake neither
            self._end()
        if received is None:
            return None
        connection, request = received
        process = self._fork() if self._serves(request) else None
        if process is None:
            _tell(connection, PLAINLY)
            connection.close()
        elif process == 0:
            connection.close()
            return request
        else:
            self._children[process] = Child(process, connection)
            _tell(connection, ACCEPTED)
        request.close()
        return None

    def _serves(self, request: Request) -> bool:
        """Whether a child may do a job; imports what it needs."""
        if self._retired or not self.home.serves(request):
            return False
        try:
            self.prepare(request)
        except Exception:  # the job will say it in its log
            traceback.print_exc()
            return False
        gc.freeze()  # a collection in a child would write to all objects, and so copy all memory
        if not self.is_current():  # looked up after the imports: they may have read new sources
            self._retire()
        return not self._retired and _threads() == 1

    def _retire(self) -> None:
        """Leave all further jobs to a successor."""
        self._retired = True
        with suppress(OSError):  # no memory, or too many processes: they start plainly
            self.succeed()
        self.requests.close()

    def _fork(self) -> int | None:
        """Fork. Signals for the child wait until it is the process of the job, so that none is lost."""
        parent, process = os.getpid(), None
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        with suppress(OSError):  # no memory, or too many processes
            process = os.fork()
        if process == 0:
            self._become_child(parent)
        else:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        return process

    def _become_child(self, parent: int) -> None:
        """End with the server, which ends with Snakemake; close what is the server's, and handle signals as before."""
        _end_with_parent(parent)
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.requests.close()
        for child in self._children.values():
            if child.connection:
                child.connection.close()

    # --- its end -----------------------------------------------------------------------------------------------------

    def _heed(self, child: Child) -> None:
        """Pass the signals for a client on to its child. A client that has ended ends its child."""
        assert child.connection is not None
        try:
            numbers = child.connection.recv(64)
        except ConnectionError:
            numbers = b""
        if not numbers:
            child.connection.close()
            child.connection = None
            os.kill(child.process, signal.SIGKILL)
        for number in numbers:
            if time.monotonic() - self._signals.get(number, -_TOGETHER) >= _TOGETHER:  # else the child has it already
                os.kill(child.process, number)

    def _reap(self) -> None:
        """Tell the clients of children that have ended how they have."""
        with suppress(BlockingIOError):
            self._wake.recv(4096)
        for child in list(self._children.values()):
            process, status = os.waitpid(child.process, os.WNOHANG)
            if process:
                del self._children[process]
                if child.connection:
                    _tell(child.connection, status.to_bytes(STATUS, "little"))
                    child.connection.close()


def _threads() -> int:
    """The number of threads of this process; a fork copies only one."""
    return len(list(Path("/proc/self/task").iterdir()))


def _tell(connection: socket.socket, message: bytes) -> None:
    with suppress(OSError):  # the client has ended
        connection.send(message, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)


def _end_with_parent(parent: int) -> None:
    """Let the kernel end this process when its parent has ended, even by SIGKILL."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)
