"""Images and classes in the format IDX of MNIST: two zeros, the type, the number of axes, their lengths, bytes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from byzcode.data.data_set import Examples, Split
from byzcode.data.files import DataFile, contents, place_of


def split(name: str, files: tuple[DataFile, ...]) -> Split:
    """The examples of a set whose ``files`` are training images, training classes, test images and test classes.

    Pixels are between 0 and 1, in float32. Raises UserError if a file is missing or is not the pinned one.
    """
    return _split(name, files, place_of(name))


@cache
def _split(name: str, files: tuple[DataFile, ...], folder: Path) -> Split:
    read = contents(name, files)
    arrays = [array(read[file.name]) for file in files]
    return Split(_examples(*arrays[:2]), _examples(*arrays[2:]))


def _examples(images: NDArray[np.uint8], classes: NDArray[np.uint8]) -> Examples:
    features, labels = images.reshape(len(images), -1) / np.float32(255), classes.astype(np.int64)
    for each in (features, labels):
        each.flags.writeable = False
    return Examples(features, labels)


def array(content: bytes) -> NDArray[np.uint8]:
    """The bytes of an IDX file, in the shape that it states. Raises ValueError if they do not fit this shape."""
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
