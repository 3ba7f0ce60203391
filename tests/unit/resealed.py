"""A stored NetCDF file taken apart, changed, and put together again with all its checksums right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from byzcode.storage import netcdf, seal


@dataclass
class Parts:
    """What stands in a file. A variable without numbers is declared and never written: it takes no room."""

    dimensions: dict[str, int | None]  # None: without a limit
    variables: dict[str, tuple[tuple[str, ...], Any]]  # dimensions and type
    arrays: dict[str, NDArray[Any]]
    labels: dict[str, dict[str, Any]]
    attributes: dict[str, Any]
    how: dict[str, dict[str, Any]] = field(default_factory=dict)  # by variable, how it is stored
    more: Callable[[netCDF4.Dataset], object] = lambda _: None


def parts(path: Path) -> Parts:
    """Of a file."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        return Parts(
            {name: len(dimension) for name, dimension in file.dimensions.items()},
            {name: (variable.dimensions, variable.dtype) for name, variable in file.variables.items()},
            {name: np.asarray(variable[...]) for name, variable in file.variables.items()},
            {
                name: {key: variable.getncattr(key) for key in variable.ncattrs()}
                for name, variable in file.variables.items()
            },
            {key: file.getncattr(key) for key in file.ncattrs()},
        )


def store(path: Path, stored: Parts) -> None:
    """Write a file, with the checksum of each variable unless that is among its labels as it is to stand."""
    path.unlink(missing_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        file.set_auto_maskandscale(False)
        for name, size in stored.dimensions.items():
            file.createDimension(name, size)
        for name, (dimensions, kind) in stored.variables.items():
            how = stored.how.get(name, {"compression": "zlib"})
            labels = {key: value for key, value in stored.labels.get(name, {}).items() if value is not None}
            variable = file.createVariable(name, kind, dimensions, fill_value=labels.pop("_FillValue", None), **how)
            if name in stored.arrays:
                variable[...] = stored.arrays[name]
                labels["sha256"] = labels.pop("own sha256", netcdf.digest(np.asarray(stored.arrays[name]).astype(kind)))
            variable.setncatts(labels)
        stored.more(file)
        file.setncatts(stored.attributes)
    seal.seal(path)


def change(path: Path, edit: Callable[[Parts], object]) -> None:
    """A file of which something is changed."""
    stored = parts(path)
    edit(stored)
    store(path, stored)


def stretch(stored: Parts, dimension: str, size: int) -> None:
    """Another size of a dimension; what has it is declared and never written."""
    stored.dimensions[dimension] = size
    for name, (dimensions, _) in stored.variables.items():
        if dimension in dimensions:
            stored.arrays.pop(name, None)


def numbers(name: str, edit: Callable[[NDArray[Any]], object]) -> Callable[[Parts], None]:
    """An edit of some numbers in place, or by what it returns."""

    def edited(stored: Parts) -> None:
        array = stored.arrays[name].copy()
        made = edit(array)
        stored.arrays[name] = array if made is None else np.asarray(made)

    return edited
