"""The allocation file: the subsets of each device, per seed, and statistics of their overlaps and replications."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode import __version__
from byzcode.allocation import ALLOCATIONS, EMPTY
from byzcode.allocation.statistics import overlaps, replications
from byzcode.errors import UserError, short
from byzcode.provenance.content import canonical, long_hash
from byzcode.randomness import Stream
from byzcode.specs import parts
from byzcode.specs.allocation import AllocationSpec
from byzcode.storage.layout import STAGES
from byzcode.storage.netcdf import Sizes, Stored, Variable, fill, writing
from byzcode.storage.netcdf import read as read_netcdf
from byzcode.storage.statement import Statement

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
        ("seed", "overlap"), "i8", "pairs of devices", "number of pairs of devices that share this many subsets"
    ),
    "overlap": Variable(("overlap",), "i4", "subsets", "number of subsets shared by two devices"),
    "overlap_mean": Variable(("seed",), "f8", "subsets", "mean overlap of two devices", "the papers ask for r^2 / M"),
    "overlap_std": Variable(("seed",), "f8", "subsets", "standard deviation of the overlap of two devices"),
    "replication_mean": Variable(("seed",), "f8", "devices", "mean replication of a subset", "N r / M"),
    "replication_std": Variable(("seed",), "f8", "devices", "standard deviation of the replication of a subset"),
    "uncovered": Variable(("seed",), "i4", "subsets", "number of subsets that no device holds"),
}


def draw(spec: AllocationSpec) -> NDArray[np.int32]:
    """Draw the subsets that each device holds, (R, N, S). The lists of a seed do not depend on the other seeds."""
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
    slots = max(each.shape[1] for each in lists)
    return np.stack([np.pad(each, ((0, 0), (0, slots - each.shape[1])), constant_values=EMPTY) for each in lists])


def allocation_digest(assigned: NDArray[np.int32]) -> str:
    """The identity of allocated lists (R, N, S): a hash of their numbers."""
    return hashlib.sha256(np.ascontiguousarray(assigned, dtype="<i4").tobytes()).hexdigest()[:12]


def engine_digest(spec: AllocationSpec) -> str:
    """The identity of the code that makes an allocation."""
    return STAGES["allocate"].digest(parts.of_allocation(spec))


def write(spec: AllocationSpec, path: Path) -> None:
    """Draw the allocations of a spec and store them.

    Raises UserError if the file cannot be written, or if the code was edited since this process loaded it.
    """
    assigned = draw(spec)
    named = parts.of_allocation(spec)
    if edited := STAGES["allocate"].edited(named):
        raise UserError(f"{path}: not stored: {edited[0]} was edited while it was made: make it again")
    code = engine_digest(spec)
    statement = Statement("allocate", code, long_hash(spec.canonical()), allocation_digest(assigned))
    with writing(path, statement) as file:
        fill(
            file,
            VARIABLES,
            _values(spec, assigned),
            {
                "Conventions": "CF-1.11",
                "title": f"Allocation of {spec.subsets} data subsets to {spec.devices} devices",
                "byzcode_file": KIND,
                "allocation_id": spec.allocation_id,
                "spec": spec.canonical(),
                "byzcode_version": __version__,
                "engine_digest": code,
                "engine_parts": canonical(STAGES["allocate"].parts(named)),
                "numpy_version": version("numpy"),
            },
        )


def read(path: Path, wanted: AllocationSpec | str) -> NDArray[np.int32]:
    """Read the lists (R, N, S) of an allocation, given its spec or its id. Raises UserError as :func:`load` does."""
    return load(path, wanted).arrays["subset"].astype(np.int32, copy=False)


def open(path: str | Path, name: str | None = None) -> xarray.Dataset:  # noqa: A001 - read as allocations.open
    """Read a stored allocation in memory and, if ``name`` is given, check that it is its id.

    Raises UserError if the file is missing, truncated, damaged, foreign or incomplete, or holds another allocation.
    """
    return load(path, name).dataset()


def load(path: str | Path, wanted: AllocationSpec | str | None = None) -> Stored[AllocationSpec]:
    """Read a stored allocation with its spec, as numpy arrays.

    If ``wanted``, a spec or an id, is given, the allocation must be that one. Raises UserError as :func:`open` does.
    """
    path = Path(path)

    def expected(attributes: dict[str, Any]) -> tuple[AllocationSpec, Sizes, Mapping[str, Variable]]:
        text = attributes["spec"]
        if isinstance(wanted, AllocationSpec) and text != wanted.canonical():
            raise UserError(f"{path}: holds another allocation: {short(text, 500)}; expected {wanted.canonical()}")
        spec = AllocationSpec.from_json(text, path)
        if isinstance(wanted, str) and spec.allocation_id != wanted:
            raise UserError(f"{path}: holds allocation {spec.allocation_id}; expected {wanted}")
        most = spec.redundancy if _exactly(spec) else spec.subsets
        sizes = {
            "seed": [len(spec.seeds)],
            "device": [spec.devices],
            "slot": range(spec.redundancy if _exactly(spec) else 1, most + 1),
            "data_subset": [spec.subsets],
            "overlap": range(1, most + 2),
        }
        return spec, sizes, VARIABLES

    stored = read_netcdf(path, KIND, ("spec", "engine_digest"), expected)
    if odd := _odd(stored.spec, stored.arrays):
        raise UserError(f"{path}: foreign: {odd}")
    return stored


def _exactly(spec: AllocationSpec) -> bool:
    """Whether each device holds exactly ``redundancy`` subsets."""
    return ALLOCATIONS[spec.allocation.name].exact(**spec.allocation.options)


def _odd(spec: AllocationSpec, arrays: Mapping[str, NDArray[Any]]) -> str | None:
    """Why the arrays cannot be an allocation of a spec, or None."""
    assigned = arrays["subset"]
    taken, before, after = assigned != EMPTY, assigned[..., :-1], assigned[..., 1:]
    if (arrays["seed"] != np.asarray(spec.seeds)).any():
        return "its seeds are not those of its spec"
    if ((assigned < 0) & taken).any() or (assigned >= spec.subsets).any():
        return f"a device holds a subset that is not in 0 to {spec.subsets - 1}"
    if ((after != EMPTY) & ((before == EMPTY) | (before >= after))).any():
        return "the subsets of a device are not in ascending order, or one occurs twice"
    if _exactly(spec) and not taken.all():
        return f"a device holds fewer than {spec.redundancy} subsets"
    copies = np.stack([replications(lists, spec.subsets) for lists in assigned])
    if not all(np.allclose(arrays[name], expected) for name, expected in _of_copies(copies).items()):
        return "its replications are not those of its lists"
    counts, shared = arrays["overlap_count"], np.arange(arrays["overlap"].size)
    pairs = spec.devices * (spec.devices - 1) // 2
    both = (copies.astype(np.int64) * (copies - 1) // 2).sum(axis=1)  # pairs that share a subset, over all subsets
    if (arrays["overlap"] != shared).any() or (counts < 0).any() or (counts.sum(axis=1) != pairs).any():
        return f"its overlaps are not those of {pairs} pairs of devices"
    mean = both / max(1, pairs)
    std = np.sqrt(np.maximum(counts @ shared**2 / max(1, pairs) - mean**2, 0))
    moments = np.allclose(arrays["overlap_mean"], mean) and np.allclose(arrays["overlap_std"], std, atol=1e-6)
    if (counts @ shared != both).any() or not moments:
        return "its overlaps are not those of its lists"
    return None


def _values(spec: AllocationSpec, assigned: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """The values of the variables of a file."""
    copies = np.stack([replications(lists, spec.subsets) for lists in assigned])
    shared = np.stack([overlaps(lists, spec.subsets) for lists in assigned])
    most = int(shared.max(initial=0))
    return {
        "seed": np.asarray(spec.seeds),
        "subset": assigned,
        "overlap_count": np.stack([np.bincount(pairs, minlength=most + 1) for pairs in shared]),
        "overlap": np.arange(most + 1),
        "overlap_mean": shared.mean(axis=1) if shared.size else np.zeros(len(assigned)),
        "overlap_std": shared.std(axis=1) if shared.size else np.zeros(len(assigned)),
        **_of_copies(copies),
    }


def _of_copies(copies: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """The stored variables that follow from ``copies`` (R, M), the number of devices that hold each subset."""
    return {
        "replication": copies,
        "replication_mean": copies.mean(axis=1),
        "replication_std": copies.std(axis=1),
        "uncovered": (copies == 0).sum(axis=1),
    }
