"""A server of warm starts whose jobs run their first argument as Python: what test_warm.py starts, without imports.

Its arguments: the open file with requests, and the file whose content takes the place of the stamp of the sources.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from byzcode.execution.warm import job
from byzcode.execution.warm.request import Home, Request
from byzcode.execution.warm.server import Server


def command(requests: int, stamp: Path) -> list[str]:
    return [sys.executable, "-P", __file__, str(requests), str(stamp)]


def program() -> None:
    exec(sys.argv[1], {"__name__": "__main__", "FORKED": "__server__" in sys.modules})


def prepare(request: Request) -> None:
    if b"cannot be imported" in request.words:
        raise ImportError


def main() -> None:
    requests, stamp = int(sys.argv[1]), Path(sys.argv[2])
    stamped = stamp.read_text()
    if stamped == "threads":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    server = Server(
        socket.socket(fileno=requests),
        Home.of_this_process(),
        prepare,
        lambda: stamp.read_text() == stamped,
        lambda: subprocess.Popen(command(requests, stamp), pass_fds=[requests]) and None,
    )
    stamp.with_name(f"{stamped}.pid").write_text(str(os.getpid()))
    job.become(server.serve())
    job.finish(program)


if __name__ == "__main__":
    main()
