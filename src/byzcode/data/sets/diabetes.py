"""Progression of diabetes, as scikit-learn bundles it: 442 patients, 10 features, a real target.

The set is that of Efron et al., "Least angle regression", Annals of Statistics 2004. Features are age, sex, body mass
index, blood pressure and six measurements of blood serum, in their own units. The target is the progression in a year.
"""

from __future__ import annotations

from functools import cache

from byzcode.data.bundled import bundled
from byzcode.data.data_set import DataSet, Examples, Split
from byzcode.randomness import Stream

_TRAINING, _TEST = 400, 42


@cache
def _load() -> Split:
    """Load the patients. A fixed permutation, the same for all seeds, chooses the split."""
    features, targets = bundled("diabetes_data_raw.csv.gz"), bundled("diabetes_target.csv.gz")
    order = Stream(0, "diabetes/split").at(0).permutation(len(targets))
    features, targets = features[order], targets[order]
    for array in (features, targets):
        array.flags.writeable = False
    training, test = slice(0, _TRAINING), slice(_TRAINING, None)
    return Split(Examples(features[training], targets[training]), Examples(features[test], targets[test]))


ENTRY = DataSet(
    _load,
    title="diabetes",
    training=_TRAINING,
    test=_TEST,
    features=10,
    classes=0,
    source="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html, as in scikit-learn",
    licence="no licence of the data stated; in scikit-learn, under the BSD 3-Clause licence",
)
