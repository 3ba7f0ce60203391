"""The data set CPS 1988, from a small file of R with the same columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdata

from byzcode.data.sets import cps1988

MEN = pd.DataFrame(
    {
        "wage": [100.0, 200.0, 400.0, 200.0, 50.5],
        "education": np.array([8, 12, 16, 12, 0], dtype=np.int32),
        "experience": np.array([30, 10, -2, 10, 63], dtype=np.int32),
        "ethnicity": pd.Categorical(["cauc", "afam", "cauc", "afam", "cauc"], categories=["cauc", "afam"]),
        "smsa": pd.Categorical(["no", "yes", "yes", "yes", "no"], categories=["no", "yes"]),
        "region": pd.Categorical(
            ["south", "northeast", "west", "northeast", "midwest"], categories=["northeast", "midwest", "south", "west"]
        ),
        "parttime": pd.Categorical(["no", "no", "yes", "no", "no"], categories=["no", "yes"]),
    }
)
FEATURES = [
    [8, 30, 0, 0, 0, 1, 0, 0],
    [12, 10, 1, 1, 0, 0, 0, 0],
    [16, -2, 0, 1, 0, 0, 1, 1],
    [12, 10, 1, 1, 0, 0, 0, 0],  # an equal row, kept
    [0, 63, 0, 0, 1, 0, 0, 0],
]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The examples of all five men, in training."""
    rdata.write_rda(tmp_path / "CPS1988.rda", {"CPS1988": MEN})
    content = (tmp_path / "CPS1988.rda").read_bytes()
    monkeypatch.setattr(cps1988, "contents", lambda name, files: {files[0].name: content})
    monkeypatch.setattr(cps1988, "_TRAINING", len(MEN))
    return cps1988._split(Path(tmp_path)).training


def standardised(values):
    values = np.asarray(values, dtype=float)
    return (values - values.mean(axis=0)) / values.std(axis=0)


def test_features_are_numbers_and_indicators_and_the_target_is_the_logarithm_of_the_wage(small):
    got = np.column_stack(small)
    want = standardised(np.column_stack([FEATURES, np.log(MEN["wage"])]))
    assert got.shape == (5, cps1988.ENTRY.features + 1)
    np.testing.assert_allclose(got[got[:, -1].argsort()], want[want[:, -1].argsort()], rtol=0, atol=1e-12)


def test_nobody_can_change_the_examples(small):
    assert not small.features.flags.writeable
    assert not small.labels.flags.writeable
