"""Normal points around three centres."""

from __future__ import annotations

from functools import cache

import numpy as np

from byzcode.data.data_set import DataSet, Examples, Split
from byzcode.randomness import Stream


@cache
def example() -> Split:
    """Three classes in the plane."""
    generator = Stream(0, "example").at(0)
    labels = np.arange(90, dtype=np.int64) % 3
    features = np.eye(3)[labels][:, :2] + 0.3 * generator.standard_normal((90, 2))
    for array in (features, labels):
        array.flags.writeable = False
    return Split(Examples(features[:60], labels[:60]), Examples(features[60:], labels[60:]))


ENTRY = DataSet(
    example,
    training=60,
    test=30,
    features=2,
    classes=3,
    title="example",
)
