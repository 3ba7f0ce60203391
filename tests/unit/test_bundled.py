"""The tables of scikit-learn, against its own loaders."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from byzcode.data import DATA_SETS, bundled
from byzcode.randomness import Stream


@pytest.mark.parametrize(
    ("name", "features", "labels"),
    [
        ("digits", load_digits().data / 16, load_digits().target),
        ("diabetes", load_diabetes(scaled=False).data, load_diabetes(scaled=False).target),
    ],
)
def test_a_set_has_the_examples_of_scikit_learn(name, features, labels):
    split = DATA_SETS[name].load()
    order = Stream(0, f"{name}/split").at(0).permutation(len(labels))
    np.testing.assert_array_equal(np.concatenate([part.features for part in split]), features[order])
    np.testing.assert_array_equal(np.concatenate([part.labels for part in split]), labels[order])


def test_it_fails_as_an_import_would_if_scikit_learn_is_missing(monkeypatch):
    monkeypatch.setattr(bundled, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="sklearn"):
        bundled.bundled("digits.csv.gz", ",")
