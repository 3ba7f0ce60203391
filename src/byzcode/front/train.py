"""Train one run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from byzcode.data import files
from byzcode.errors import UserError, complain
from byzcode.execution import batches
from byzcode.execution.batches import Shown
from byzcode.front import named
from byzcode.front.progress import shown
from byzcode.front.spec import Fields, given
from byzcode.provenance import registered
from byzcode.specs import parts
from byzcode.specs.run import RunSpec
from byzcode.storage import allocations, trajectories
from byzcode.storage.atomic import writable
from byzcode.training.workers import require

if TYPE_CHECKING:
    import xarray


def train(
    spec: RunSpec | None = None,
    /,
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    threads: int = 1,
    progress: bool | None = None,
    **fields: Unpack[Fields],
) -> xarray.Dataset:
    """Train all seeds of a run, and return what was measured: loss, errors and costs by seed and iteration.

    The run is a :func:`byzcode.spec`, or its fields by name. With ``out`` it is stored in a file, the same as in the
    workflow, which xarray opens; a file there that holds the same run, made by the same code, libraries and device, is
    returned without a training, and any other is replaced. ``threads`` seeds are trained at a time, each in a process:
    call it under ``if __name__ == "__main__"`` in a script. ``progress`` shows a bar, by default on a terminal and in a
    notebook. Raises UserError.

    >>> import byzcode as bz
    >>> run = bz.train(method="cra_dl", redundancy=40, attack="sign_flip", aggregation="median", iterations=50, seeds=3)
    >>> dict(run.sizes)
    {'seed': 3, 'iteration': 11}
    >>> bool((run["excess_loss"][:, -1] < run["excess_loss"][:, 0]).all())
    True
    """
    run = given(spec, fields, "train")
    check(run, device, threads, "train")
    if out is not None:
        path = path_of(out, "train", "out")
        ensure(run, path, device, threads, shown(progress))
        return trajectories.open(path, run)
    with tempfile.TemporaryDirectory(prefix="byzcode-") as folder:
        path = Path(folder) / f"{run.run_id}.nc"
        batches.alone(run, None, path, device=device, threads=threads, shown=shown(progress))
        return trajectories.open(path, run)


def ensure(spec: RunSpec, path: Path, device: str, threads: int, shown: Shown) -> None:
    """Train a run unless its file is what a training would store now. Raises UserError."""
    writable(path)
    if not trajectories.agrees(path, spec, allocations.draw(spec.allocation_spec), device):
        batches.alone(spec, None, path, device=device, threads=threads, shown=shown)


def check(spec: RunSpec, device: str, threads: int, where: str) -> None:
    """Raise UserError if a run cannot be trained here."""
    require(device)
    named.whole(threads, where, "threads", 1)
    if threads > 1 and (own := registered.among(parts.of_run(spec))):
        names = ", ".join(root.partition(":")[0].rpartition(".")[2] for root in own)
        raise complain(where, "threads", threads, f"allowed: 1; the processes would not know {names}, registered here")
    for name, known in parts.data_sets_of(spec).items():
        files.require(name, known.files)


def path_of(given: object, where: str, key: str) -> Path:
    """The path of a file. Raises UserError."""
    if not isinstance(given, str | os.PathLike) or (isinstance(given, str) and (not given or given.endswith("/"))):
        raise complain(where, key, given, "allowed: the path of a file")
    try:
        return Path(os.fsdecode(given))
    except TypeError as error:
        raise UserError(f"{where}: {key}: {error}") from None
