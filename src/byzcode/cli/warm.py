"""``python -m byzcode.cli.warm``: a server of warm starts (:mod:`byzcode.execution.warm`), for the commands of jobs."""

from __future__ import annotations

import gc
import importlib
import io
import os
import resource
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

from byzcode.cli import commands
from byzcode.cli import main as byzcode
from byzcode.execution.warm import job
from byzcode.execution.warm.launch import command
from byzcode.execution.warm.request import Home
from byzcode.execution.warm.server import Server
from byzcode.execution.warm.stamp import stamp
from byzcode.provenance import code
from byzcode.storage import trajectories
from byzcode.storage.layout import STAGES
from byzcode.training.memory import peak_memory

#: What the commands of jobs import when they need it, besides the modules of their stages.
COMMON = ("byzcode.storage.inputs", "byzcode.storage.checksums", "byzcode.studies.requests")
LIBRARIES = {
    "train": ("torch", "byzcode.execution.batches", "byzcode.execution.progress", "byzcode.data.files"),
    "summarise": ("scipy.stats", "xarray"),
    "figure": ("xarray",),
    "claims": ("scipy.stats",),
    "reading": ("scipy.stats", "torch", "byzcode.execution.progress"),
    "gallery": ("PIL.PngImagePlugin",),
    "scorecard": ("PIL.PngImagePlugin",),
}

#: The commands that draw.
DRAWING = ("figure", "multiverse")


@cache
def prepare(command: str) -> None:
    """Import what a command needs, and compute the digest of the code of its stage, which stays in a cache."""
    if (stage := STAGES.get(command)) is None:
        return
    gc.disable()  # imports make no garbage
    try:
        modules = (*code.loaded().modules(*stage.modules), *COMMON, *LIBRARIES.get(command, ()))
        for module in modules:
            importlib.import_module(module)
        stage.digest()
        if command in DRAWING:
            _draw()
    finally:
        gc.enable()


def _draw() -> None:
    """Draw a figure, so that fonts and formats are loaded."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from byzcode.figures.style import theme

    with theme():
        figure = Figure(figsize=(2, 2))
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.semilogy([1, 2], [1e-3, 1], label="$r_1$")
        axes.set_title("Preloaded", weight="bold")
        axes.legend()
        for kind in ("pdf", "svg", "png"):
            figure.savefig(io.BytesIO(), format=kind)


def _resident() -> float:
    """The memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _report_memory(of_imports: float) -> None:
    """Let trajectories state the memory of a plain start: without what only other commands have imported."""
    excess = peak_memory() - of_imports
    vars(trajectories)["peak_memory"] = lambda: peak_memory() - excess


def serve(requests: int, stamped: str) -> None:
    """Serve jobs until Snakemake ends; in each child, run its command."""
    home = Home.of_this_process()
    commands()
    prepare("allocate")
    prepare("train")
    memory = _resident()

    def succeed() -> None:
        subprocess.Popen(command(requests), pass_fds=[requests], env=dict(home.environment))  # noqa: S603 - this Python

    server = Server(
        socket.socket(fileno=requests),
        home,
        prepare=lambda request: prepare(os.fsdecode(request.words[1])) if len(request.words) > 1 else None,
        is_current=lambda: stamp() == stamped,
        succeed=succeed,
    )
    request = server.serve()
    _report_memory(memory)
    job.become(request)
    job.finish(byzcode)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
