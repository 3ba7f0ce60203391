"""Data sets, and how their examples are divided into subsets: two tables.

``DATA_SETS[name]`` says how large a data set is, and ``.load()`` gives its examples, split into training and test the
same way every time. ``PARTITIONS[name](labels, subsets, generator)`` gives the examples of each subset, (M, s), the
same number s for all; what does not fill another example for each subset is left out.
"""

from typing import TYPE_CHECKING, Literal, TypeAlias

from byzcode.data.data_set import DataSet, Examples, Partition, Split
from byzcode.data.partitions import PARTITIONS
from byzcode.data.sets import DATA_SETS

if TYPE_CHECKING:
    DataName: TypeAlias = str
    PartitionName: TypeAlias = str
else:
    DataName, PartitionName = Literal[tuple(DATA_SETS)], Literal[tuple(PARTITIONS)]

__all__ = ["DATA_SETS", "PARTITIONS", "DataName", "DataSet", "Examples", "Partition", "PartitionName", "Split"]
