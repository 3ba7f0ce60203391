"""The table of allocations of subsets to devices.

``ALLOCATIONS[name](devices, subsets, redundancy, generator, **options)`` returns the assigned subsets, (N, S);
``ALLOCATIONS[name].refuses(devices, subsets, redundancy)`` says why a size is not supported, or returns None.
"""

from byzcode.allocation.scheme import EMPTY, Scheme
from byzcode.lazy import Table

ALLOCATIONS = Table(
    __name__,
    Scheme,
    (
        "random",
        "disjoint",
        "cyclic",
        "repetition",
        "orthogonal_array",
        "block_design",
        "difference_set",
        "mols",
        "ramanujan",
    ),
)

__all__ = ["ALLOCATIONS", "EMPTY", "Scheme"]
