"""NetCDF files that describe themselves, and are whole or not there.

netCDF4 writes and checks (it is quick to import); xarray reads for those who analyse.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import netCDF4
import numpy as np
from numpy.typing import NDArray

from byzcode import seal
from byzcode.errors import UserError
from byzcode.wholefile import whole


class Variable(NamedTuple):
    """A variable of a file: dimensions, type, units and what it is, for ``ncdump -h`` to say."""

    dimensions: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    comment: str = ""


@contextmanager
def writing(path: Path) -> Iterator[netCDF4.Dataset]:
    """A new file that appears at ``path`` when the block ends well, and not at all otherwise. Raises UserError."""
    try:
        with whole(path) as temporary:
            temporary.write_bytes(bytes(4096))  # of a full disk the system says so; HDF5, that permission is denied
            with opened(temporary, "w") as file:
                yield file
            seal.seal(temporary)
    except RuntimeError as error:  # how netCDF4 tells of a full disk
        raise UserError(f"{path}: cannot be written: {error}") from None


def opened(path: Path, mode: Literal["r", "w"] = "r") -> netCDF4.Dataset:
    """An open file. Its name goes to HDF5 as the bytes that it is: netCDF4 refuses letters that the locale has not."""
    return netCDF4.Dataset(os.fsencode(path).decode("latin-1"), mode, encoding="latin-1")


def fill(
    file: netCDF4.Dataset,
    variables: Mapping[str, Variable],
    values: Mapping[str, Any],
    attributes: Mapping[str, Any],
) -> None:
    """Write variables, their units and names, and the attributes of the file."""
    for name, about in variables.items():
        array = np.asarray(values[name])
        for dimension, size in zip(about.dimensions, array.shape, strict=True):
            if dimension not in file.dimensions:
                file.createDimension(dimension, size)
        variable = file.createVariable(name, about.dtype, about.dimensions, compression="zlib", complevel=4)
        variable.units, variable.long_name = about.units, about.long_name
        if about.comment:
            variable.comment = about.comment
        variable.sha256 = digest(array.astype(about.dtype, copy=False))
        variable[...] = array
    file.setncatts({"created": datetime.now(UTC).isoformat(timespec="seconds"), **attributes, "complete": 1})


def digest(array: NDArray[Any]) -> str:
    """The sha256 of some numbers: of type and shape in words, as in ``<f8 [20, 501]``, then of their bytes.

    It does not depend on the container: the same numbers have it in any file, by any version of a library.
    """
    ordered = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return hashlib.sha256(f"{ordered.dtype.str} {list(array.shape)}".encode() + ordered.tobytes()).hexdigest()


def check(path: Path, kind: str, variables: Mapping[str, Variable], required: Sequence[str]) -> dict[str, Any]:
    """The attributes of a file of ours, among them the ``required`` ones, which are texts.

    Raises UserError where it is missing, truncated, damaged, foreign or incomplete.
    """
    seal.sealed(path)
    try:
        with opened(path) as file:
            file.set_auto_mask(False)
            attributes = {name: file.getncattr(name) for name in file.ncattrs()}
            present = {name: variable.dimensions for name, variable in file.variables.items()}
            damaged = [name for name, found in file.variables.items() if not _as_written(found)]
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: damaged or not NetCDF: {error.args[-1] if error.args else error}") from None
    if not _is(attributes.get("byzcode_file"), kind):
        raise UserError(f"{path}: foreign file: its attribute byzcode_file is not {kind!r}")
    if not _is(attributes.get("complete"), 1):
        raise UserError(f"{path}: incomplete: its attribute complete is not 1")
    for name in required:
        if name not in attributes:
            raise UserError(f"{path}: incomplete: its attribute {name} is missing")
        if not isinstance(attributes[name], str):
            raise UserError(f"{path}: foreign: its attribute {name} is no text")
    for name, about in variables.items():
        if present.get(name) != about.dimensions:
            raise UserError(f"{path}: incomplete: variable {name}{about.dimensions} is not in it")
    if damaged:
        raise UserError(f"{path}: damaged: the checksum of variable {damaged[0]} is that of other numbers")
    return attributes


def _is(attribute: Any, expected: str | int) -> bool:
    """Whether an attribute has a value: it may be an array, too."""
    return np.ndim(attribute) == 0 and bool(attribute == expected)


def _as_written(variable: netCDF4.Variable[Any]) -> bool:
    """Whether a variable holds the numbers that were stored in it."""
    return _is(getattr(variable, "sha256", None), digest(np.asarray(variable[...])))
