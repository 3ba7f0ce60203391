"""The messages nearest to each message, and their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode.kernels.distances import squared_distances
from byzcode.kernels.native import function
from byzcode.kernels.product import product
from byzcode.kernels.select import smallest
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Number of messages of which the sums of all subsets are made; as in mixed.cpp.
_GROUP = 4


def nearest(away: Tensor, k: int) -> Tensor:
    """True if message j is among the k nearest to message i, itself included, (..., N, N).

    Ties are broken in the order of :func:`byzcode.kernels.select.by_value`. ``away`` are centred messages (..., N, D).
    Cost: N^2 D.
    """
    return smallest(squared_distances(away), k, away)


def mean_of(taken: Tensor, away: Tensor, origin: Tensor, kept: int) -> Tensor:
    """For each device the mean of the ``kept`` finite messages that it takes, plus the origin, (..., N, D).

    ``taken`` is (..., N, N), ``away`` (..., N, D) and ``origin`` (..., 1, D). Cost: N^2 D. In double precision the CPU
    first makes the sums of all subsets of four messages. Each mean then adds N / 4 of these, in a third of the time.
    """
    if away.device.type != "cpu" or away.dtype != torch.float64:
        return product(taken.to(away.dtype), away).div_(kept).add_(origin)
    devices, dimension = away.shape[-2:]
    taken, away, origin = taken.contiguous(), away.contiguous(), origin.contiguous()
    compiled = function("mixed", away, origin)
    if compiled is None:
        runs = zip(taken.view(-1, devices, devices).numpy(), away.view(-1, devices, dimension).numpy(), strict=True)
        sums = torch.from_numpy(np.array([_sums(*run) for run in runs]))
        return sums.view(away.shape).div_(kept).add_(origin)
    out = torch.empty_like(away)
    places = (tensor.data_ptr() for tensor in (taken, away, origin, out))
    compiled(*places, taken[..., 0, 0].numel(), devices, dimension, kept)
    return out


def _sums(taken: NDArray[np.bool_], away: NDArray[Any]) -> NDArray[Any]:
    """The sums, (N, D), of the messages (N, D) that are taken, in the order of mixed.cpp."""
    sums = np.zeros_like(away)
    for first in range(0, len(away), _GROUP):
        of_subset = np.zeros((1, away.shape[1]))
        for message in away[first : first + _GROUP]:
            of_subset = np.concatenate([of_subset, of_subset + message])
        members = taken[:, first : first + _GROUP]
        sums += of_subset[members @ (1 << np.arange(members.shape[1]))]
    return sums
