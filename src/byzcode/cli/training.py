"""Commands that draw allocations and train runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from byzcode.cli.arguments import Json, Out, SpecText, files_of, print_json, read_spec
from byzcode.specs.allocation import AllocationSpec
from byzcode.specs.run import RunSpec


def allocate(spec: SpecText, out: Out) -> None:
    """Draw the allocations of an allocation spec, for all its seeds, and store them."""
    from byzcode.storage import allocations
    from byzcode.storage.apart import apart
    from byzcode.storage.atomic import writable

    parsed = read_spec(AllocationSpec, spec)
    writable(out)
    apart([out], files_of(spec))
    allocations.write(parsed, out)


def allocations(
    devices: Annotated[int, typer.Option(min=1, max=10**9, help="Number of devices, N.")],
    subsets: Annotated[int, typer.Option(min=1, max=10**9, help="Number of subsets, M.")],
    redundancy: Annotated[int, typer.Option(min=1, max=10**9, help="Number of subsets per device, r.")],
    json: Json = False,
) -> None:
    """List the allocations that support a size; for the others, give the reason and the nearest supported size."""
    from byzcode.allocation import serving

    size = devices, subsets, redundancy
    if json:
        reasons = serving.serving(*size)
        exact = serving.exact(reasons)
        print_json([{"name": name, "refused": why, "exact": name in exact} for name, why in reasons.items()])
    else:
        print(serving.described(*size))


def train(
    spec: SpecText,
    out: Out,
    allocation: Annotated[Path | None, typer.Option(help="Allocation file; drawn if left out.")] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Number of seeds trained in parallel on the CPU.")] = 1,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data sets; $BYZCODE_DATA or results/data if left out.")
    ] = None,
    together: Annotated[Path | None, typer.Option(help="File that lists runs to train with it in one batch.")] = None,
) -> None:
    """Train all seeds of a run and store the trajectory. The same spec gives the same bits."""
    from byzcode.data import files
    from byzcode.execution import batches
    from byzcode.specs import parts
    from byzcode.storage.apart import apart
    from byzcode.storage.atomic import writable
    from byzcode.training.memory import keep_freed_memory

    parsed = read_spec(RunSpec, spec)
    if data is not None:
        files.use(data)
    for name, known in parts.data_sets_of(parsed).items():
        files.require(name, known.files)
    writable(out)
    apart([out], files_of(spec, allocation, together))
    keep_freed_memory()
    if together is None:
        batches.alone(parsed, allocation, out, device=device, threads=threads)
    else:
        batches.train(parsed, allocation, out, together=together, device=device)
