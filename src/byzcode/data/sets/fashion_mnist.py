"""Fashion-MNIST: 70,000 grey images of clothes, 28 x 28 pixels, 10 classes of equal size (Xiao, Rasul, Vollgraf, 2017).

In the authors' split: 60,000 images for training, 10,000 for tests.
"""

from __future__ import annotations

from byzcode.data import idx
from byzcode.data.data_set import DataSet, Origin, Split
from byzcode.data.files import DataFile

_FILES = (
    DataFile("train-images-idx3-ubyte", 47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    DataFile("train-labels-idx1-ubyte", 60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    DataFile("t10k-images-idx3-ubyte", 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    DataFile("t10k-labels-idx1-ubyte", 10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
)

_NOTICE = """\
The MIT License (MIT)

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def _load() -> Split:
    """Load the images; see :func:`byzcode.data.idx.split`."""
    return idx.split("fashion_mnist", _FILES)


ENTRY = DataSet(
    _load,
    title="Fashion-MNIST",
    training=60_000,
    test=10_000,
    features=784,
    classes=10,
    shape=(1, 28, 28),
    files=_FILES,
    origins={
        "apt": Origin(
            "dataset-fashion-mnist",
            {file.name: f"usr/share/datasets/fashion-mnist/{file.name}.gz" for file in _FILES},
        ),
        "download": Origin(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            {file.name: f"{file.name}.gz" for file in _FILES},
        ),
    },
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    notice=_NOTICE,
)
