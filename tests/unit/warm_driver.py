"""What Snakemake is for a server of warm starts: it starts the server, then jobs at the same time, and waits for them.

Its arguments are the programs of the jobs; it prints their exit statuses as JSON. ``warm`` is also what test_warm.py
uses in its own process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warm_server

from byzcode.execution.warm import launch

#: A variable of pytest that changes between the steps of a test.
CURRENT = "PYTEST_CURRENT_TEST"

#: The command of a plain start.
PLAIN = """#!{python}
import sys
exec(sys.argv[1], {{"__name__": "__main__", "FORKED": False}})
"""


@dataclass(frozen=True)
class Jobs:
    """What starts jobs in a folder, with the open files that lead to the server."""

    root: Path
    descriptors: list[int]

    @property
    def environment(self) -> dict[str, str]:
        environment = {**os.environ, **launch._THREADS}
        return {name: value for name, value in environment.items() if name != CURRENT}

    def start(self, *words: Any, **options: Any) -> subprocess.Popen[bytes]:
        """Start a job as a shell of Snakemake does."""
        settings = {"env": self.environment, "cwd": self.root, "pass_fds": self.descriptors, **options}
        return subprocess.Popen(["byzcode", *words], **settings)

    def run(self, *words: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        settings = {"env": self.environment, "cwd": self.root, "pass_fds": self.descriptors, **options}
        return subprocess.run(["byzcode", *words], capture_output=True, check=False, **settings)

    def server(self, stamp: str = "first") -> int:
        """The process of the server of a stamp."""
        return int((self.root / f"{stamp}.pid").read_text())

    @property
    def stamp(self) -> Path:
        return self.root / "stamp"


@contextmanager
def warm(root: Path, stamp: str = "first") -> Iterator[Jobs]:
    """A server while the block runs; the folder has the command of plain starts, too."""
    plain = root / "plain" / "byzcode"
    if not plain.exists():
        plain.parent.mkdir(parents=True)
        plain.write_text(PLAIN.format(python=sys.executable))
        plain.chmod(0o755)
    (root / ".snakemake").mkdir(exist_ok=True)
    jobs = Jobs(root, [])
    jobs.stamp.write_text(stamp)
    os.chdir(root)
    os.environ["PATH"] = os.pathsep.join([str(plain.parent), os.environ["PATH"]])
    os.environ.pop(CURRENT, None)
    launch.command = lambda requests: warm_server.command(requests, jobs.stamp)
    launch._possible = lambda: True
    launch.WarmStarts.begin(launch.FEWEST, lambda given: jobs.descriptors.__setitem__(slice(None), given))
    try:
        yield jobs
    finally:
        launch.WarmStarts.end()


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # it waits for its jobs
    with warm(Path.cwd()) as jobs:
        started = [jobs.start(program) for program in sys.argv[1:]]
        print(json.dumps([job.wait() for job in started]), flush=True)


if __name__ == "__main__":
    main()
