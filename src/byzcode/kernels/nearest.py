"""The messages nearest to each message, and their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode.kernels.distances import in_units, multiplied_out, squared_distances
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
    Cost: N^2 D. A CPU without the compiled distances first uses the fast expanded ones. If rounding errors or ties
    could change the choice, it uses the distances that do not depend on the order of devices. Choosing another one of
    several equal messages makes no difference.
    """
    if away.device.type != "cpu" or (away.dtype == torch.float64 and function("distances", away) is not None):
        return smallest(squared_distances(away), k, away)
    scaled = in_units(away)
    distances = multiplied_out(scaled)
    taken = smallest(distances, k)
    if k == distances.shape[-1]:
        return taken
    inner = torch.where(taken, distances, 0.0).amax(dim=-1, keepdim=True)
    outer = torch.where(taken, torch.inf, distances).amin(dim=-1, keepdim=True)
    # The error of a distance is at most D roundings of ||m_i||^2 + ||m_j||^2 <= 3 ||m_i||^2 + 2 ||m_i - m_j||^2.
    square = torch.linalg.vecdot(scaled, scaled).unsqueeze(-1)
    rounding = (scaled.shape[-1] + 8) * torch.finfo(scaled.dtype).eps
    doubt = square.isfinite() & ~(outer - inner > 2 * rounding * (3 * square + 2 * inner))
    if not doubt.any():
        return taken
    distances = squared_distances(away)
    settled = smallest(distances, k, away)
    differs = taken ^ settled
    some = differs.to(torch.uint8).argmax(dim=-1, keepdim=True).expand(distances.shape)
    matters = (differs & (distances.gather(-2, some) > 0)).any(dim=-1, keepdim=True)
    return torch.where(doubt & matters, settled, taken)


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
