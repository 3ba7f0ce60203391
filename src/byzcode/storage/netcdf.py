"""Self-describing NetCDF files that are complete or absent.

netCDF4 writes and reads them, because it imports quickly; analyses get the content as an xarray dataset.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import netCDF4
import numpy as np
from numpy.typing import NDArray

from byzcode.errors import UserError
from byzcode.storage import seal
from byzcode.storage.atomic import replacing

if TYPE_CHECKING:
    import xarray

T = TypeVar("T")

#: The allowed sizes by dimension.
Sizes = Mapping[str, Collection[int]]

#: Allowance in bytes for names, attributes and B-trees of a file. Our largest files need 0.2 of it.
_BESIDE = 2**20

#: Number of bytes of a trial write, which detects a full disk or a file-size limit.
_PROBE = 2**24

#: The allowed attributes of a variable. Others, such as a scale factor, could change what readers see.
_LABELS = {"units", "long_name", "comment", "sha256", "coordinates", "flag_values", "flag_meanings"}

_UNREADABLE = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)


class Variable(NamedTuple):
    """A variable of a file: dimensions, type, and the units and names that ``ncdump -h`` shows."""

    dimensions: tuple[str, ...]
    dtype: str
    units: str
    long_name: str
    comment: str = ""


@dataclass(frozen=True)
class Stored(Generic[T]):
    """The content of a file: its specification and attributes; by variable, its numbers, their kind and attributes."""

    spec: T
    attributes: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    variables: Mapping[str, Variable]
    labels: dict[str, dict[str, Any]]

    def dataset(self) -> xarray.Dataset:
        """The content as an xarray dataset."""
        import xarray

        return xarray.Dataset(
            {name: (self.variables[name].dimensions, array, self.labels[name]) for name, array in self.arrays.items()},
            attrs=self.attributes,
        )


@contextmanager
def writing(path: Path, statement: object = None) -> Iterator[netCDF4.Dataset]:
    """A new file that appears at ``path`` only if the block succeeds. Raises UserError if it cannot be written.

    ``statement`` is a line that says what made it, see :mod:`byzcode.storage.statement`.
    """
    with replacing(path) as temporary:
        try:
            with _created(temporary) as file:
                yield file
        except (RuntimeError, OSError) as error:
            _probe(temporary)
            raise OSError(error.errno if isinstance(error, OSError) else 0, str(error.args[-1])) from None
        seal.seal(temporary, statement)


def _probe(path: Path) -> None:
    """Raise the OSError that HDF5 hides, such as a full disk, if there is one."""
    with path.open("ab") as file:
        file.write(bytes(_PROBE))
        file.flush()
        os.fsync(file.fileno())


def _created(path: Path) -> netCDF4.Dataset:
    """A new file. Pass the name as raw bytes: netCDF4 refuses characters that the locale cannot encode."""
    return netCDF4.Dataset(os.fsencode(path).decode("latin-1"), "w", format="NETCDF4", encoding="latin-1")


def fill(
    file: netCDF4.Dataset,
    variables: Mapping[str, Variable],
    values: Mapping[str, Any],
    attributes: Mapping[str, Any],
) -> None:
    """Write the variables with their units and names, and the attributes of the file."""
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
    """The sha256 of an array: of its type and shape as text, such as ``<f8 [20, 501]``, followed by its bytes.

    It depends only on the numbers, not on the file format or the versions of libraries.
    """
    ordered = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return hashlib.sha256(f"{ordered.dtype.str} {list(array.shape)}".encode() + ordered.tobytes()).hexdigest()


def read(
    path: Path,
    kind: str,
    required: Sequence[str],
    about: Callable[[dict[str, Any]], tuple[T, Sizes, Mapping[str, Variable]]],
) -> Stored[T]:
    """Read one of our files. ``required`` names the attributes that must be texts.

    ``about`` turns the attributes into the specification in the file, the allowed sizes of its dimensions, and its
    variables. Numbers are read only after names, types and sizes have been checked. Raises UserError if the file is
    missing, truncated, damaged, foreign, incomplete or too large.
    """
    content = seal.sealed(path)
    try:
        with netCDF4.Dataset("memory", memory=content) as file:
            file.set_auto_maskandscale(False)
            attributes = _attributes(file, path, kind, required)
            spec, sizes, variables = about(attributes)
            _check_variables(file, path, variables, len(content))
            _check_sizes(file, path, variables, sizes)
            labels = {name: _attributes_of(file[name]) for name in variables}
            arrays = {
                name: _numbers(file[name], path, name, labels[name].get("sha256")).astype(kind.dtype, copy=False)
                for name, kind in variables.items()
            }
    except _UNREADABLE as error:
        raise UserError(f"{path}: damaged or not NetCDF: {error.args[-1] if error.args else error}") from None
    for each in labels.values():
        each.pop("coordinates", None)  # meant for other readers
    return Stored(spec, attributes, arrays, variables, labels)


def _attributes(file: netCDF4.Dataset, path: Path, kind: str, required: Sequence[str]) -> dict[str, Any]:
    """The attributes of a file. Raises UserError if it does not look like one of ours."""
    attributes = _attributes_of(file)
    if not _is(attributes.get("byzcode_file"), kind):
        raise UserError(f"{path}: foreign file: its attribute byzcode_file is not {kind!r}")
    if not _is(attributes.get("complete"), 1):
        raise UserError(f"{path}: incomplete: its attribute complete is not 1")
    for name in required:
        if name not in attributes:
            raise UserError(f"{path}: incomplete: its attribute {name} is missing")
        if not isinstance(attributes[name], str):
            raise UserError(f"{path}: foreign: its attribute {name} is not a text")
    return attributes


def _check_variables(file: netCDF4.Dataset, path: Path, variables: Mapping[str, Variable], size: int) -> None:
    """Raise UserError if a file has other variables, or is larger than its variables can make it."""
    numbers = sum(
        np.dtype(about.dtype).itemsize * math.prod(len(file.dimensions.get(name, ())) for name in about.dimensions)
        for about in variables.values()
    )
    if size > 1.1 * numbers + _BESIDE:
        raise UserError(f"{path}: foreign: {size} bytes, for {numbers} bytes of numbers")
    for name, about in variables.items():
        if name not in file.variables or file[name].dimensions != about.dimensions:
            raise UserError(f"{path}: incomplete: variable {name}{about.dimensions} is not in it")
    own = {dimension for about in variables.values() for dimension in about.dimensions}
    odd = [*file.variables.keys() - variables.keys(), *file.dimensions.keys() - own, *file.groups]
    odd += [*file.cmptypes, *file.enumtypes, *file.vltypes]
    if odd:
        raise UserError(f"{path}: foreign: it has the unexpected name {min(odd)}")


def _check_sizes(file: netCDF4.Dataset, path: Path, variables: Mapping[str, Variable], sizes: Sizes) -> None:
    """Raise UserError if a dimension or a variable differs from those that our writer makes."""
    present = {name: len(dimension) for name, dimension in file.dimensions.items()}
    if any(present[name] not in allowed for name, allowed in sizes.items()):
        expected = {name: _words(allowed) for name, allowed in sizes.items()}
        raise UserError(f"{path}: incomplete: has {present}, expected {expected}")
    for name, about in variables.items():
        variable = file[name]
        if np.dtype(variable.dtype).newbyteorder("=") != np.dtype(about.dtype):  # the byte order may differ
            raise UserError(f"{path}: foreign: variable {name} is of type {variable.dtype}, not {about.dtype}")
        chunk = variable.chunking()
        if chunk == "contiguous" or np.greater(chunk, variable.shape).any() or not variable.filters()["zlib"]:
            raise UserError(f"{path}: foreign: variable {name} is stored in another way")
        if unknown := set(variable.ncattrs()) - _LABELS:
            raise UserError(f"{path}: foreign: variable {name} has an attribute {min(unknown)}")


def _words(allowed: Collection[int]) -> int | str:
    return min(allowed) if len(allowed) == 1 else f"{min(allowed)} to {max(allowed)}"


def _attributes_of(owner: Any) -> dict[str, Any]:
    return {name: owner.getncattr(name) for name in owner.ncattrs()}


def _numbers(variable: netCDF4.Variable[Any], path: Path, name: str, checksum: Any) -> NDArray[Any]:
    """The numbers of a variable. Raises UserError if they do not match the checksum stored with them."""
    numbers = np.asarray(variable[...])
    if not _is(checksum, digest(numbers)):
        raise UserError(f"{path}: damaged: the numbers of variable {name} do not match their checksum")
    return numbers


def _is(attribute: Any, expected: str | int) -> bool:
    """Whether an attribute, which may also be an array, equals the expected scalar."""
    return np.ndim(attribute) == 0 and bool(attribute == expected)
