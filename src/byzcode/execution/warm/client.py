"""The client of a server of warm starts: it looks like the ``byzcode`` command, and a forked child does the work.

This file runs on its own, with ``python -I -S``, and starts in ten milliseconds. So it imports only what Python has
loaded anyway or in C: ``socket`` and ``signal`` would double that time. The server imports the protocol from here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import array
import marshal
import os
import sys

#: The open file that leads to the server, the Python that runs this file, and the process of Snakemake; they are set
#: only while a server runs.
DESCRIPTOR, PYTHON, OWNER = b"BYZCODE_WARM_DESCRIPTOR", b"BYZCODE_WARM_PYTHON", b"BYZCODE_WARM_OWNER"

#: What the server answers first: the job has its child, it must start plainly, or Snakemake has ended.
ACCEPTED, PLAINLY, ENDED = b"a", b"p", b"e"

#: Signals for a client that its child gets instead.
FORWARDED = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGUSR2)

#: Bytes of the number that says how the child has ended, as from ``waitpid``.
STATUS = 4


class LostError(Exception):
    """Snakemake has ended, or the server after it had accepted the job."""


def surroundings() -> bytes:
    """What a child inherits from the server, and so must be equal for both: priority, processors, groups, limits."""
    state: list[object] = [os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0)), os.getpgrp()]
    for name in ("limits", "cgroup"):
        with open(f"/proc/self/{name}", encoding="ascii", errors="replace") as file:
            state.append(file.read())
    return repr(state).encode()


def plain_environment(folder: bytes) -> dict[bytes, bytes]:
    """The environment of a plain start: without ``folder``, which contains the client, and our variables."""
    environment = dict(os.environb)
    for name in (DESCRIPTOR, PYTHON, OWNER):
        environment.pop(name, None)
    folders = environment.get(b"PATH", b"").split(b":")
    environment[b"PATH"] = b":".join(each for each in folders if each != folder)
    return environment


def ask(descriptor: int, words: list[bytes], environment: dict[bytes, bytes]) -> _socket.socket | None:
    """Ask the server for a child. Returns the connection, or None if the job must start plainly. Raises LostError.

    The message carries open files: the end of the connection for the server, the request, the folder, the standard
    files, then all others.
    """
    for standard in range(3):
        os.fstat(standard)  # if it is closed, the next file would take its place
    others = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]
    umask = os.umask(0)
    os.umask(umask)
    request = os.memfd_create("request")
    os.write(request, marshal.dumps((words, environment, surroundings(), umask)))
    folder = os.open(".", os.O_PATH | os.O_DIRECTORY)
    ours, theirs = _socket.socketpair()
    sent = [theirs.fileno(), request, folder, 0, 1, 2]
    sent += [other for other in others if other != descriptor and _is_open(other)]
    server = _socket.socket(fileno=os.dup(descriptor))
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", sent))]
    server.sendmsg([b"job"], ancillary, _socket.MSG_NOSIGNAL)
    theirs.close()
    answer = ours.recv(1)
    if answer == ENDED:
        raise LostError
    return ours if answer == ACCEPTED else None


def has_ended(process: bytes) -> bool:
    """Whether a process has ended, perhaps without its parent having noticed."""
    try:
        with open(b"/proc/" + process + b"/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return True


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def wait(connection: _socket.socket) -> int:
    """How the child has ended, as from ``waitpid``. Signals that come meanwhile go to the child. Raises LostError."""

    def forward(number: int, _: object) -> None:
        try:
            connection.send(bytes([number]), _socket.MSG_NOSIGNAL)
        except OSError:  # it has ended, and the status comes next
            pass

    for number in FORWARDED:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, forward)
    try:
        status = connection.recv(STATUS, _socket.MSG_WAITALL)
    except ConnectionError:
        status = b""
    if len(status) < STATUS:
        raise LostError
    return int.from_bytes(status, "little")


def end_like(status: int) -> None:
    """End this process as the child has ended."""
    if os.WIFSIGNALED(status):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child has written its own
        number = os.WTERMSIG(status)
        if number != _signal.SIGKILL:
            _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


def start_plainly(words: list[bytes], environment: dict[bytes, bytes]) -> None:
    """Become the next command of this name in PATH."""
    name = os.path.basename(words[0])
    for folder in environment[b"PATH"].split(b":"):
        path = os.path.join(folder or b".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            os.execve(path, [path, *words[1:]], environment)  # noqa: S606 - as a shell would
    sys.stderr.write(f"{os.fsdecode(name)}: command not found\n")
    sys.stderr.flush()
    os._exit(127)


def main() -> None:
    """Run a job through the server, or plainly."""
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    words = [os.fsencode(word) for word in sys.argv[1:]]
    descriptor = os.environb.get(DESCRIPTOR)
    environment = plain_environment(os.path.dirname(words[0]))
    try:
        try:
            connection = ask(int(descriptor), words, environment) if descriptor else None
        except (OSError, ValueError):  # no server any more, a closed standard file, too many open files
            connection = None
        if connection is None and descriptor and has_ended(os.environb.get(OWNER, b"self")):
            raise LostError  # the server has ended with Snakemake, before it accepted the job
        if connection is None:
            start_plainly(words, environment)
        else:
            end_like(wait(connection))
    except LostError:
        sys.stderr.write("byzcode: the server of warm starts has ended, and this job with it; start Snakemake again\n")
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
