"""The spectral constant M ||W - 1 1' / M||_2^2 of lists with weights 1/r: M times a squared largest singular value.

:func:`byzcode.theory.worst_case.spectral` computes it for any weights W (N, M) in O(N^2 M + N^3). This module uses a
closed form if the allocation has one. Otherwise it samples lists, and with many devices uses the Lanczos method.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import ALLOCATIONS
from byzcode.specs.allocation import AllocationSpec
from byzcode.storage import allocations

#: Up to this number of devices all eigenvalues of the overlaps are computed, in less than a second.
_FEW = 1024
#: Columns per product in single precision, few enough to count exactly; and rows converted to float64 at a time.
_EXACT, _ROWS = 2**22, 256
#: Lanczos vectors and residual. The error of the eigenvalue is about the squared residual over the spectral gap.
_VECTORS, _RESIDUAL = 48, 1e-5


def spectral(allocation: str, devices: int, subsets: int, redundancy: int) -> float:
    """The spectral constant of an allocation: in closed form, or of the lists of seed 0 if there is no closed form."""
    form = ALLOCATIONS[allocation].spectral
    return form(devices, subsets, redundancy) if form else sampled(allocation, devices, subsets, redundancy)


@lru_cache(maxsize=8)
def sampled(allocation: str, devices: int, subsets: int, redundancy: int) -> float:
    """The spectral constant of the lists that seed 0 draws, with r subsets per device."""
    if redundancy == subsets:
        return 0.0
    spec = {"allocation": allocation, "devices": devices, "subsets": subsets, "redundancy": redundancy, "seeds": [0]}
    (assigned,) = allocations.draw(AllocationSpec.parse(spec, "sampled lists"))
    holds = np.zeros((devices, subsets), dtype=bool)
    np.put_along_axis(holds, assigned, values=True, axis=1)
    fewer = min(redundancy, subsets - redundancy)
    if fewer < redundancy:  # the complement has the same centred matrix up to its sign, and fewer entries
        holds = ~holds
    largest = _of_overlaps(holds, fewer) if devices <= _FEW else _by_lanczos(holds, fewer)
    return subsets * max(largest, 0.0) / redundancy**2


def _of_overlaps(holds: NDArray[np.bool_], redundancy: int) -> float:
    """The largest eigenvalue of X X', where X (N, M) is the incidence matrix ``holds`` minus its mean r / M."""
    devices, subsets = holds.shape
    overlaps = np.zeros((devices, devices))
    for first in range(0, subsets, _EXACT):
        part = holds[:, first : first + _EXACT].astype(np.float32)
        overlaps += part @ part.T
    return float(np.linalg.eigvalsh(overlaps - redundancy**2 / subsets)[-1])


def _by_lanczos(holds: NDArray[np.bool_], redundancy: int) -> float:
    """The same eigenvalue: the eigenvector in single precision, then its Rayleigh quotient in double precision."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    devices, subsets = holds.shape
    wide = holds.astype(np.float32)
    square = redundancy**2 / subsets

    def product(vector: NDArray[np.float32]) -> NDArray[np.float32]:
        image: NDArray[np.float32] = wide @ (vector.ravel() @ wide) - np.float32(square) * vector.sum()
        return image

    start = np.asarray(np.random.default_rng(0).standard_normal(devices), dtype=np.float32)
    operator = LinearOperator((devices, devices), matvec=product, dtype=np.float32)
    _, vectors = eigsh(operator, k=1, which="LA", v0=start, ncv=_VECTORS, tol=_RESIDUAL)
    vector = vectors[:, 0].astype(np.float64)
    across = np.zeros(subsets)
    for first in range(0, devices, _ROWS):
        across += vector[first : first + _ROWS] @ holds[first : first + _ROWS].astype(np.float64)
    return float((np.square(across).sum() - square * vector.sum() ** 2) / np.square(vector).sum())
