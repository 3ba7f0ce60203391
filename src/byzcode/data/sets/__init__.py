"""The table of data sets."""

from byzcode.data.data_set import DataSet
from byzcode.lazy import Table

DATA_SETS = Table(
    __name__,
    DataSet,
    (
        "digits",  # scikit-learn bundles it
        "diabetes",  # and this one, for regression; the others need files, which `byzcode data` brings
        "fashion_mnist",
        "mnist",
        "diamonds",
        "cps1988",
    ),
)

__all__ = ["DATA_SETS"]
