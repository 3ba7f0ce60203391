"""The table of partitions."""

from byzcode.data.data_set import Partition
from byzcode.lazy import Table

PARTITIONS = Table(
    __name__,
    Partition,
    (
        "iid",
        "by_label",
    ),
)

__all__ = ["PARTITIONS"]
