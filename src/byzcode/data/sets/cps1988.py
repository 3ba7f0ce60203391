"""CPS 1988: wages of 28,155 men in the Current Population Survey of March 1988, 8 features (Bierens, Ginther, 2001).

The target is the logarithm of the weekly wage. Its linear fit leaves more than half of the variance, so the gradients
of subsets still differ at the optimum. Features are years of education and of potential experience, and indicators.
Features and target are standardised by the training examples. Equal rows are different men, and all are kept.
"""

from __future__ import annotations

import math
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from byzcode.data.columns import split
from byzcode.data.data_set import DataSet, Origin, Split
from byzcode.data.files import DataFile, contents, place_of

if TYPE_CHECKING:
    from pandas import DataFrame

#: A file of R, compressed by xz within its own format.
_FILE = DataFile("CPS1988.rda", 97_576, "6a2c6e6fbc54155ec231cf8f7c99a4aa6c9135f2240f209995435332686c243c")

_NUMBERS = ("education", "experience")
#: The qualities and values that an indicator stands for. A man with none of them is white and works full time; he lives
#: in the northeast, outside a metropolitan area.
_INDICATED = (
    ("ethnicity", "afam"),
    ("smsa", "yes"),
    ("region", "midwest"),
    ("region", "south"),
    ("region", "west"),
    ("parttime", "yes"),
)
_TRAINING, _TEST = 22_500, 5_655


def _load() -> Split:
    """Load the men; see :func:`byzcode.data.columns.split`."""
    return _split(place_of("cps1988"))


@cache
def _split(folder: Path) -> Split:
    men = _read(contents("cps1988", [_FILE])[_FILE.name])
    numbers = [men[name].to_numpy(np.float64) for name in _NUMBERS]
    indicators = [(men[name] == value).to_numpy(np.float64) for name, value in _INDICATED]
    target = [math.log(wage) for wage in men["wage"]]
    return split("cps1988", np.column_stack([*numbers, *indicators, target]), _TRAINING)


def _read(content: bytes) -> DataFrame:
    from rdata import conversion, parser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # R does not state the encoding of names in ASCII
        table: DataFrame = conversion.convert(parser.parse_data(content))["CPS1988"]
    return table


ENTRY = DataSet(
    _load,
    title="CPS 1988",
    training=_TRAINING,
    test=_TEST,
    features=len(_NUMBERS) + len(_INDICATED),
    classes=0,
    files=(_FILE,),
    origins={
        "apt": Origin("r-cran-aer", {_FILE.name: "usr/lib/R/site-library/AER/data/CPS1988.rda"}),
        "download": Origin(
            "https://raw.githubusercontent.com/cran/AER/170d567f767705c44cf534665a35039d7cecfd00/data/",
            {_FILE.name: _FILE.name},
        ),
    },
    source="https://cran.r-project.org/package=AER, CPS1988",
    licence="no licence of the data stated; in AER, under GPL-2 or GPL-3",
    notice=(
        "CPS1988: data of the Current Population Survey of March 1988 by the US Census Bureau, as in H. J. Bierens and "
        "D. Ginther, Integrated conditional moment testing of quantile regression models, Empirical Economics 26 "
        "(2001). From the R package AER by C. Kleiber and A. Zeileis, which is under GPL-2 or GPL-3. No licence of the "
        "data is stated.\n"
    ),
)
