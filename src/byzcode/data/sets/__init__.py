"""The table of data sets."""

from byzcode.data.data_set import DataSet
from byzcode.lazy import Table

DATA_SETS = Table(
    __name__,
    DataSet,
    (
        "digits",  # scikit-learn bundles it; the others need files, which `byzcode data` brings
        "fashion_mnist",
        "mnist",
        "diamonds",
    ),
)

__all__ = ["DATA_SETS"]
