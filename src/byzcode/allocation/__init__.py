"""Who computes what: allocations of subsets to devices, in one table.

``ALLOCATIONS[name](devices, subsets, redundancy, generator, **options)`` gives the held subsets, (N, S);
``ALLOCATIONS[name].refuses(devices, subsets, redundancy)`` says why a size cannot be served, or None.
"""

from byzcode.allocation import block_design as _block_design
from byzcode.allocation import cyclic as _cyclic
from byzcode.allocation import difference_set as _difference_set
from byzcode.allocation import disjoint as _disjoint
from byzcode.allocation import orthogonal_array as _orthogonal_array
from byzcode.allocation import random as _random
from byzcode.allocation import repetition as _repetition
from byzcode.allocation.scheme import EMPTY, Scheme

ALLOCATIONS: dict[str, Scheme] = {
    "random": Scheme(_random.random, _random.refuses, _random.exact),
    "disjoint": Scheme(_disjoint.disjoint, _disjoint.refuses),
    "cyclic": Scheme(_cyclic.cyclic, _cyclic.refuses),
    "repetition": Scheme(_repetition.repetition, _repetition.refuses),
    "orthogonal_array": Scheme(_orthogonal_array.orthogonal_array, _orthogonal_array.refuses),
    "block_design": Scheme(_block_design.block_design, _block_design.refuses),
    "difference_set": Scheme(_difference_set.difference_set, _difference_set.refuses),
}

__all__ = ["ALLOCATIONS", "EMPTY", "Scheme"]
