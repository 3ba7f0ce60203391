"""Norms of messages and distances between them, with the same bits alone and in a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode.kernels.native import function
from byzcode.kernels.order import median, sort_devices
from byzcode.kernels.product import product
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Distances are summed over so many coordinates at a time, in so many lanes, as in distances.cpp.
_BLOCK, _LANES = 256, 8

#: A message is as far as any if this part of its size is more than the unit: its square would overflow.
_FAR = 2.0**-500


def centred(messages: Tensor) -> tuple[Tensor, Tensor]:
    """Messages (..., N, D) without their coordinate-wise median, and that median, (..., 1, D).

    Fewer than N/2 lies do not reach it. Off it, what nearly coincides far from zero is told apart to rounding.
    """
    origin = median(messages).unsqueeze(-2)
    return messages - origin, origin


def squared_distances(away: Tensor) -> Tensor:
    """``||m_i - m_j||^2`` in a unit of each entry's own, (..., N, N), of centred messages (..., N, D), in float64.

    The unit is a power of two near the median size of the messages: squares of huge or tiny messages neither overflow
    nor vanish, and those of others keep their bits. A distance is infinite where a message is not finite. Each is made
    of its two messages alone, and does not depend on their places: no lie touches the distance of two others, and
    messages that coincide have the distance 0. On a GPU they are multiplied out. Cost: N^2 D.
    """
    if away.device.type != "cpu":
        return multiplied_out(in_units(away))
    away = away.double()
    return _one_by_one(away, _units(away)).nan_to_num_(nan=torch.inf, posinf=torch.inf)


def in_units(away: Tensor) -> Tensor:
    """Centred messages (..., N, D) in float64, in a unit near their median size, a power of two: nothing is rounded.

    A message beyond 2^500 units becomes one of about 2^500 units in its direction.
    """
    away = away.double()
    return away / _units(away)


def _units(away: Tensor) -> Tensor:
    """By what each message is divided, (..., N, 1)."""
    size = largest(away)
    inner = sort_devices(size)[..., size.shape[-2] // 2, :].unsqueeze(-2)
    # Where more than half of the messages coincide, the others say how large the unit is.
    others = torch.where(size.isfinite(), size, 0.0).amax(dim=-2, keepdim=True)
    unit = power_of_two(torch.where(inner > 0, inner, others))
    return torch.maximum(unit, power_of_two(size) * _FAR)


def multiplied_out(away: Tensor) -> Tensor:
    """``||m_i||^2 + ||m_j||^2 - 2 <m_i, m_j>`` of messages (..., N, D), (..., N, N), infinite where it is not finite.

    A matrix product: exact to rounding of the two squares, and on a CPU its last bits depend on the places i and j.
    """
    gram = product(away, away.mT)
    squares = gram.diagonal(dim1=-2, dim2=-1)
    # (i, j) and (j, i) may be rounded differently: together they are symmetric.
    distances = (squares.unsqueeze(-1) + squares.unsqueeze(-2)).sub_(gram + gram.mT).clamp_(min=0)
    distances.nan_to_num_(nan=torch.inf, posinf=torch.inf)
    distances.diagonal(dim1=-2, dim2=-1).zero_()
    return distances


def _one_by_one(away: Tensor, units: Tensor) -> Tensor:
    *batch, devices, dimension = away.shape
    compiled = function("distances", away, units)
    if compiled is None:
        each = (away / units).numpy().reshape(-1, devices, dimension)
        return torch.from_numpy(np.array([_plain(one) for one in each]).reshape(*batch, devices, devices))
    away, units, out = away.contiguous(), units.contiguous(), away.new_empty(*batch, devices, devices)
    compiled(away.data_ptr(), units.data_ptr(), out.data_ptr(), away[..., 0, 0].numel(), devices, dimension)
    return out


def _plain(away: NDArray[Any]) -> NDArray[Any]:
    """Squared distances (N, N) of (N, D), summed as distances.cpp does."""
    devices, dimension = away.shape
    away = np.pad(away, [(0, 0), (0, -dimension % _LANES)])
    distances = np.zeros((devices, devices))
    with np.errstate(all="ignore"):
        for i in range(devices):
            squares = np.square(away - away[i]).reshape(devices, -1, _LANES)
            for first in range(0, squares.shape[1], _BLOCK // _LANES):
                lanes = np.add.reduce(squares[:, first : first + _BLOCK // _LANES], axis=1)
                distances[i] += np.add.accumulate(lanes, axis=1)[:, -1]
    np.fill_diagonal(distances, 0)
    return distances


def power_of_two(size: Tensor) -> Tensor:
    """The largest power of two up to each size, within the range of normal numbers. To divide by it rounds nothing."""
    kind = torch.finfo(size.dtype)
    size = size.clamp(min=kind.tiny, max=kind.max)
    return size / (2 * torch.frexp(size).mantissa)


def largest(messages: Tensor) -> Tensor:
    """The largest magnitude in each of messages (..., N, D), (..., N, 1); NaN where one is."""
    return torch.maximum(messages.amax(dim=-1, keepdim=True), messages.amin(dim=-1, keepdim=True).neg_())


def surely_finite(values: Tensor) -> bool:
    """Whether all are finite, on the CPU; on a GPU the answer would have to be waited for, and is no."""
    return values.device.type == "cpu" and bool(np.isfinite(values.numpy()).all())


def surely(flags: Tensor) -> bool:
    """Whether all are true, on the CPU; on a GPU the answer would have to be waited for, and is no."""
    return flags.device.type == "cpu" and bool(flags.all())


def lengths(vectors: Tensor) -> Tensor:
    """``||v||``, (...), of vectors (..., D); infinite or NaN where a vector is.

    Squares neither overflow nor vanish: where they might, lengths are taken of entries in units of the largest.
    On a GPU all are, on the CPU only vectors that need it. Cost: D a vector.
    """
    if vectors.device.type != "cpu":
        return _scaled_lengths(vectors)
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    kind = torch.finfo(vectors.dtype)
    rough = ~((length.numpy() > kind.tiny**0.5 / kind.eps) & (length.numpy() < np.inf))
    if rough.any():
        rows = torch.from_numpy(rough)
        length[rows] = _scaled_lengths(vectors[rows])
    return length


def _scaled_lengths(vectors: Tensor) -> Tensor:
    kind = torch.finfo(vectors.dtype)
    unit = torch.linalg.vector_norm(vectors, ord=torch.inf, dim=-1, keepdim=True).clamp_(min=kind.tiny, max=kind.max)
    length: Tensor = unit.squeeze(-1) * torch.linalg.vector_norm(vectors / unit, dim=-1)
    return length


def norms(messages: Tensor) -> Tensor:
    """``||m_i||``, (..., N), of messages (..., N, D) of any size; infinite where a message is not finite. Cost: N D."""
    return lengths(messages).nan_to_num_(nan=torch.inf, posinf=torch.inf)


def clipped(messages: Tensor, norm: Tensor, radius: float | Tensor) -> Tensor:
    """``m_i min(1, radius / ||m_i||)``, (..., N, D), of messages and their norms (..., N); 0 where one is infinite.

    ``radius`` is a number or broadcasts to (..., N). Cost: N D, one pass.
    """
    within = (radius / norm.clamp(min=radius)).nan_to_num_(nan=1.0)  # where both are 0 or infinite
    shorter = messages * within.unsqueeze(-1)
    if surely_finite(norm):
        return shorter
    return shorter.masked_fill_(norm.isinf().unsqueeze(-1), 0.0)  # 0 times infinity is NaN
