"""Diamonds: the price of a cut diamond from its weight, quality and measures, 9 features (the set of ggplot2).

Diamonds with a measure of 0 and exact duplicates are left out. The target is the logarithm of the price. Features and
target are standardised by the training examples.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from byzcode.data.columns import split
from byzcode.data.data_set import DataSet, Origin, Split
from byzcode.data.files import DataFile, contents, place_of

_FILE = DataFile("diamonds.csv", 2_772_143, "9574730b03aba241d899c4a97511c5061b19358fab89510774fb6c24168345c4")

#: The grades of each quality, the worst first.
_GRADES = {
    "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
    "color": ("J", "I", "H", "G", "F", "E", "D"),
    "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
}
_FEATURES = ("carat", "cut", "color", "clarity", "depth", "table", "x", "y", "z")
_TRAINING, _TEST = 43_000, 10_775


def _load() -> Split:
    """Load the diamonds. A fixed permutation, the same for all seeds, chooses the split."""
    return _split(place_of("diamonds"))


@cache
def _split(folder: Path) -> Split:
    names, *lines = csv.reader(contents("diamonds", [_FILE])[_FILE.name].decode().splitlines())
    rows = [dict(zip(names, line, strict=True)) for line in dict.fromkeys(map(tuple, lines))]  # without duplicates
    sized = [row for row in rows if all(float(row[measure]) > 0 for measure in "xyz")]
    columns = np.array([[*(_number(row, name) for name in _FEATURES), math.log(float(row["price"]))] for row in sized])
    return split("diamonds", columns, _TRAINING)


def _number(row: Mapping[str, str], feature: str) -> float:
    """A feature of a diamond: the place of its grade, or the number itself."""
    grades = _GRADES.get(feature)
    return float(grades.index(row[feature]) if grades else row[feature])


ENTRY = DataSet(
    _load,
    title="diamonds",
    training=_TRAINING,
    test=_TEST,
    features=len(_FEATURES),
    classes=0,
    files=(_FILE,),
    origins={
        "pip": Origin("plotnine==0.15.9", {_FILE.name: "plotnine/data/diamonds.csv"}),
        "download": Origin(
            "https://raw.githubusercontent.com/mwaskom/seaborn-data/71e2436a092d714350de0fc409ca8a8714e7e78f/",
            {_FILE.name: _FILE.name},
        ),
    },
    source="https://ggplot2.tidyverse.org/reference/diamonds.html",
    licence="no licence of the data stated; in ggplot2 and plotnine, both under the MIT licence",
    notice=(
        "Diamonds: prices and attributes of round cut diamonds, collected from a public web site in 2008 for ggplot2. "
        "No licence of the data is stated; ggplot2 and plotnine, which contain them, are under the MIT licence.\n"
    ),
)
