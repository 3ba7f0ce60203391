"""The table of partitions."""

from byzcode.data.partition import Partition
from byzcode.lazy import Table

PARTITIONS = Table(
    __name__,
    Partition,
    (
        "iid",
        "by_label",
        "similarity",
        "dirichlet",
        "shards",
    ),
)

__all__ = ["PARTITIONS"]
