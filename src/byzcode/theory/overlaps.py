"""M ||W - 1 1' / M||_2^2 of lists with weights 1/r: the squared largest singular value of what is centred, times M.

:func:`byzcode.theory.worst_case.spectral` computes it of any weights (N, M), in O(N^2 M + N^3). Here it is in closed
form where the lists have one, and of sampled lists by Lanczos' method where there are many devices.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import ALLOCATIONS
from byzcode.specs.allocation import AllocationSpec
from byzcode.storage import allocations

#: Up to so many devices all eigenvalues of their overlaps are computed: it takes less than a second.
_FEW = 1024
#: Numbers in single precision that are counted exactly, and rows of numbers that are widened at a time.
_EXACT, _ROWS = 2**22, 256
#: Of Lanczos' method: vectors, and the residual. The eigenvalue is off by about the residual's square over a gap.
_VECTORS, _RESIDUAL = 48, 1e-5


def spectral(allocation: str, devices: int, subsets: int, redundancy: int) -> float:
    """Of an allocation: in closed form, or of what seed 0 draws where there is none."""
    form = ALLOCATIONS[allocation].spectral
    return form(devices, subsets, redundancy) if form else sampled(allocation, devices, subsets, redundancy)


@lru_cache(maxsize=8)
def sampled(allocation: str, devices: int, subsets: int, redundancy: int) -> float:
    """Of the lists of r subsets a device that seed 0 draws."""
    if redundancy == subsets:
        return 0.0
    spec = {"allocation": allocation, "devices": devices, "subsets": subsets, "redundancy": redundancy, "seeds": [0]}
    (held,) = allocations.draw(AllocationSpec.parse(spec, "sampled lists"))
    holds = np.zeros((devices, subsets), dtype=bool)
    np.put_along_axis(holds, held, values=True, axis=1)
    fewer = min(redundancy, subsets - redundancy)
    if fewer < redundancy:  # what devices lack is as far from its mean as what they hold, and smaller
        holds = ~holds
    largest = _of_overlaps(holds, fewer) if devices <= _FEW else _by_lanczos(holds, fewer)
    return subsets * max(largest, 0.0) / redundancy**2


def _of_overlaps(holds: NDArray[np.bool_], redundancy: int) -> float:
    """The largest eigenvalue of X X', X (N, M) being who holds what, less its mean r / M."""
    devices, subsets = holds.shape
    overlaps = np.zeros((devices, devices))
    for first in range(0, subsets, _EXACT):
        part = holds[:, first : first + _EXACT].astype(np.float32)
        overlaps += part @ part.T
    return float(np.linalg.eigvalsh(overlaps - redundancy**2 / subsets)[-1])


def _by_lanczos(holds: NDArray[np.bool_], redundancy: int) -> float:
    """The same. A vector in single precision, then its Rayleigh quotient in double."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    devices, subsets = holds.shape
    wide = holds.astype(np.float32)
    square = redundancy**2 / subsets

    def product(vector: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = wide @ (vector.ravel() @ wide) - np.float32(square) * vector.sum()
        return found

    start = np.asarray(np.random.default_rng(0).standard_normal(devices), dtype=np.float32)
    operator = LinearOperator((devices, devices), matvec=product, dtype=np.float32)
    _, vectors = eigsh(operator, k=1, which="LA", v0=start, ncv=_VECTORS, tol=_RESIDUAL)
    vector = vectors[:, 0].astype(np.float64)
    across = np.zeros(subsets)
    for first in range(0, devices, _ROWS):
        across += vector[first : first + _ROWS] @ holds[first : first + _ROWS].astype(np.float64)
    return float((np.square(across).sum() - square * vector.sum() ** 2) / np.square(vector).sum())
