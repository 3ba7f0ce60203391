"""Handwritten digits, 8 x 8 pixels, as scikit-learn bundles them: 1,797 examples of 10 classes.

They are the test part of the UCI data set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from byzcode.data.bundled import bundled
from byzcode.data.data_set import DataSet, Examples, Split
from byzcode.randomness import Stream

_TRAINING, _TEST = 1500, 297


@cache
def _load() -> Split:
    """Load the digits, with pixels between 0 and 1. A fixed permutation, the same for all seeds, chooses the split."""
    table = bundled("digits.csv.gz", delimiter=",")
    features, labels = table[:, :-1], table[:, -1]
    order = Stream(0, "digits/split").at(0).permutation(len(labels))
    features, labels = features[order] / 16, labels[order].astype(np.int64)
    for array in (features, labels):
        array.flags.writeable = False
    training, test = slice(0, _TRAINING), slice(_TRAINING, None)
    return Split(Examples(features[training], labels[training]), Examples(features[test], labels[test]))


ENTRY = DataSet(
    _load,
    title="digits",
    training=_TRAINING,
    test=_TEST,
    features=64,
    classes=10,
    shape=(1, 8, 8),
    source="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits, as in scikit-learn",
    licence="CC BY 4.0",
)
