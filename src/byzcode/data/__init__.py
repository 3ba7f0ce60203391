"""Data sets, and partitions of their examples into subsets: two tables.

``DATA_SETS[name]`` has the sizes of a data set; its method ``load()`` returns the examples, always with the same split
into training and test. Some sets need files (:mod:`byzcode.data.files`), which :mod:`byzcode.fetch` brings.
``PARTITIONS[name](labels, subsets, generator)`` returns the indices of the examples of each subset, (M, s). All
subsets have the same number s of examples; the remaining examples are not used.
"""

from typing import TYPE_CHECKING, Literal, TypeAlias

from byzcode.data.data_set import DataSet, Examples, Origin, Partition, Split
from byzcode.data.files import DataFile
from byzcode.data.partitions import PARTITIONS
from byzcode.data.sets import DATA_SETS

if TYPE_CHECKING:
    DataName: TypeAlias = str
    PartitionName: TypeAlias = str
else:
    DataName, PartitionName = Literal[tuple(DATA_SETS)], Literal[tuple(PARTITIONS)]

__all__ = [
    "DATA_SETS",
    "PARTITIONS",
    "DataFile",
    "DataName",
    "DataSet",
    "Examples",
    "Origin",
    "Partition",
    "PartitionName",
    "Split",
]
