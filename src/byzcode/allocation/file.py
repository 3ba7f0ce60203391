"""The allocation file: who holds what, per seed, and how balanced that is."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode import __version__
from byzcode.allocation import ALLOCATIONS, EMPTY
from byzcode.allocation.statistics import overlaps, replications
from byzcode.errors import UserError
from byzcode.netcdf import Variable, check, fill, opened, writing
from byzcode.randomness import Stream
from byzcode.studies.identity import stage_digest
from byzcode.studies.spec import AllocationSpec

if TYPE_CHECKING:
    import xarray

KIND = "allocation"

VARIABLES = {
    "seed": Variable(("seed",), "i8", "1", "seed"),
    "subset": Variable(
        ("seed", "device", "slot"), "i4", "1", "subset held by a device", f"{EMPTY} marks an empty slot"
    ),
    "replication": Variable(("seed", "data_subset"), "i4", "devices", "number of devices that hold a subset"),
    "overlap_count": Variable(
        ("seed", "overlap"), "i8", "pairs of devices", "number of pairs of devices that share so many subsets"
    ),
    "overlap": Variable(("overlap",), "i4", "subsets", "number of subsets shared by two devices"),
    "overlap_mean": Variable(("seed",), "f8", "subsets", "mean overlap of two devices", "the papers ask for r^2 / M"),
    "overlap_std": Variable(("seed",), "f8", "subsets", "standard deviation of the overlap of two devices"),
    "replication_mean": Variable(("seed",), "f8", "devices", "mean replication of a subset", "N r / M"),
    "replication_std": Variable(("seed",), "f8", "devices", "standard deviation of the replication of a subset"),
    "uncovered": Variable(("seed",), "i4", "subsets", "number of subsets that no device holds"),
}


def draw(spec: AllocationSpec) -> NDArray[np.int32]:
    """The subsets that each device holds, (R, N, S). A seed's lists depend on that seed alone."""
    scheme = ALLOCATIONS[spec.allocation.name]
    lists = [
        scheme(
            spec.devices,
            spec.subsets,
            spec.redundancy,
            Stream(seed, f"allocation/{spec.allocation.name}").at(0),
            **spec.allocation.options,
        )
        for seed in spec.seeds
    ]
    slots = max(held.shape[1] for held in lists)
    return np.stack([np.pad(held, ((0, 0), (0, slots - held.shape[1])), constant_values=EMPTY) for held in lists])


def engine_digest() -> str:
    """The identity of the code that makes an allocation."""
    return stage_digest("allocate")


def write(spec: AllocationSpec, path: Path) -> None:
    """Draw the allocations of a spec and store them. Raises UserError where the file cannot be written."""
    held = draw(spec)
    copies = np.stack([replications(lists, spec.subsets) for lists in held])
    shared = np.stack([overlaps(lists, spec.subsets) for lists in held])
    most = int(shared.max(initial=0))
    counts = np.stack([np.bincount(pairs, minlength=most + 1) for pairs in shared])
    values = {
        "seed": np.asarray(spec.seeds),
        "subset": held,
        "replication": copies,
        "overlap_count": counts,
        "overlap": np.arange(most + 1),
        "overlap_mean": shared.mean(axis=1) if shared.size else np.zeros(len(held)),
        "overlap_std": shared.std(axis=1) if shared.size else np.zeros(len(held)),
        "replication_mean": copies.mean(axis=1),
        "replication_std": copies.std(axis=1),
        "uncovered": (copies == 0).sum(axis=1),
    }
    with writing(path) as file:
        fill(
            file,
            VARIABLES,
            values,
            {
                "Conventions": "CF-1.11",
                "title": f"Allocation of {spec.subsets} data subsets to {spec.devices} devices",
                "byzcode_file": KIND,
                "allocation_id": spec.allocation_id,
                "spec": spec.canonical(),
                "byzcode_version": __version__,
                "engine_digest": engine_digest(),
                "numpy_version": version("numpy"),
            },
        )


def read(path: Path, spec: AllocationSpec) -> NDArray[np.int32]:
    """The held subsets (R, N, S) of a stored allocation. Raises UserError where the file is not that of ``spec``."""
    found = check(path, KIND, VARIABLES, ("spec",))["spec"]
    if found != spec.canonical():
        raise UserError(f"{path}: holds another allocation: {found}; expected {spec.canonical()}")
    with opened(path) as file:
        return np.asarray(file["subset"][...].filled(EMPTY), dtype=np.int32)


def about(path: str | Path, name: str | None = None) -> tuple[AllocationSpec, dict[str, Any]]:
    """The spec of a stored allocation, and all attributes of its file. Raises UserError as :func:`open` does."""
    attributes = check(Path(path), KIND, VARIABLES, ("spec", "engine_digest"))
    spec = AllocationSpec.from_json(attributes["spec"], path)
    if name is not None and spec.allocation_id != name:
        raise UserError(f"{path}: holds allocation {spec.allocation_id}; expected {name}")
    return spec, attributes


def open(path: str | Path, name: str | None = None) -> xarray.Dataset:  # noqa: A001 - read as allocation.file.open
    """A stored allocation, in memory; the one of the id ``name``, where that is given.

    Raises UserError where it is missing, truncated, damaged, foreign or incomplete, or another one.
    """
    import xarray
    from xarray.backends import NetCDF4DataStore

    about(path, name)
    store = NetCDF4DataStore(opened(Path(path)))  # type: ignore[no-untyped-call]
    with xarray.open_dataset(store) as dataset:
        return dataset.load()
