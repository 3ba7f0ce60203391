"""Data sets, and partitions of their examples into groups: two tables.

``DATA_SETS[name]`` has the sizes of a data set; its method ``load()`` returns the examples, always with the same split
into training and test. Some sets need files (:mod:`byzcode.data.files`), which :mod:`byzcode.fetch` brings.
``PARTITIONS[name](labels, groups, generator, **options)`` divides examples into groups: :class:`Parts`, the indices of
the examples group by group, (K,), and the number of examples in each, (G,). Every example is in one group.
:func:`divide` applies a partition and cuts its groups into subsets.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from byzcode.data.chosen import PartitionChoice, chosen
from byzcode.data.data_set import DataSet, Examples, Origin, Split
from byzcode.data.files import DataFile
from byzcode.data.partition import Partition, Parts, divide
from byzcode.data.partitions import PARTITIONS
from byzcode.data.sets import DATA_SETS

#: A partition as an option of a problem: its name, or a mapping of its name and its options.
PartitionOption: TypeAlias = Annotated[str | Mapping[str, Any], PartitionChoice(PARTITIONS)]

__all__ = [
    "DATA_SETS",
    "PARTITIONS",
    "DataFile",
    "DataSet",
    "Examples",
    "Origin",
    "Partition",
    "PartitionChoice",
    "PartitionOption",
    "Parts",
    "Split",
    "chosen",
    "divide",
]
