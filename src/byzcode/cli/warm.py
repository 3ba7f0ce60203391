"""``python -m byzcode.cli.warm``: a server of warm starts (:mod:`byzcode.execution.warm`), for the commands of jobs."""

from __future__ import annotations

import gc
import importlib
import io
import resource
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

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

#: What a training imports, besides the modules of its stages.
TRAINING = ("torch", "byzcode.execution.batches", "byzcode.execution.progress", "byzcode.data.files")

#: What the other commands import when they need it, besides the modules of their stages.
LIBRARIES = (
    *("xarray", "netCDF4", "scipy.stats", "scipy.sparse.linalg", "PIL.PngImagePlugin", "jinja2"),
    *("matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg", "matplotlib.backends.backend_agg"),
    *("byzcode.storage.inputs", "byzcode.storage.checksums", "byzcode.studies.requests"),
)


def preload() -> float:
    """Import what the commands of jobs need, and compute the digests of the code of their stages.

    Returns the memory of a process that has imported what a training needs, and no more, in MiB.
    """
    _import("allocate", "train", libraries=TRAINING)
    memory = _resident()
    _import(*STAGES, libraries=LIBRARIES)
    _draw()
    return memory


def _import(*stages: str, libraries: Iterable[str]) -> None:
    for stage in map(STAGES.__getitem__, stages):
        for module in code.loaded().modules(*stage.modules):
            importlib.import_module(module)
        stage.digest()  # it stays in a cache
    for library in libraries:
        importlib.import_module(library)


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
    gc.disable()  # imports make no garbage
    memory = preload()
    gc.enable()

    def succeed() -> None:
        subprocess.Popen(command(requests), pass_fds=[requests], env=dict(home.environment))  # noqa: S603 - this Python

    server = Server(socket.socket(fileno=requests), home, lambda: stamp() == stamped, succeed)
    request = server.serve()
    _report_memory(memory)
    job.become(request)
    job.finish(byzcode)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
