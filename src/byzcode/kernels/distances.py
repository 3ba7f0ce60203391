"""Norms of messages and distances between them, bitwise the same for a run alone and in a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode.kernels.native import function
from byzcode.kernels.order import median
from byzcode.kernels.product import product
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Number of coordinates summed at a time, and number of lanes of each sum; as in distances.cpp.
_BLOCK, _LANES = 256, 8

#: The relative error of :func:`rough_distances`: about 70 roundings to single precision.
ROUGH = 2.0**-17

#: The largest size of a finite message, in units, whose squares are safe from overflow in single precision.
_NEAR = 2.0**50

#: The unit of a message is at least this fraction of its size; otherwise its square could overflow.
_FAR = 2.0**-500


def centred(messages: Tensor) -> tuple[Tensor, Tensor]:
    """Messages (..., N, D) minus their coordinate-wise median, and that median, (..., 1, D).

    Fewer than N/2 Byzantine messages cannot move the median arbitrarily far. Subtracting it keeps the differences of
    messages accurate that nearly coincide far from zero.
    """
    origin = median(messages).unsqueeze(-2)
    return messages - origin, origin


def squared_distances(away: Tensor) -> Tensor:
    """``||m_i - m_j||^2``, (..., N, N), of centred messages (..., N, D), in float64 and in units (see below).

    The unit of each batch entry is a power of two near the median size of its messages. Squares of huge or tiny
    messages therefore neither overflow nor underflow, and the scaling rounds nothing. A distance is infinite if one of
    its messages is not finite. A distance is computed from its two messages only, and not from their indices: no
    Byzantine message changes the distance of two others, and equal messages have distance 0. On a GPU the square is
    expanded (see :func:`multiplied_out`). Cost: N^2 D.
    """
    if away.device.type != "cpu":
        return multiplied_out(in_units(away))
    away = away.double()
    return _one_by_one(away, _units(largest(away))).nan_to_num_(nan=torch.inf, posinf=torch.inf)


def rough_distances(messages: Tensor) -> tuple[Tensor, Tensor] | None:
    """``||m_i - m_j||^2``, (..., N, N), of messages (..., N, D) in single precision, to a relative error of ROUGH.

    In units, as above, and half as expensive: differences of messages need not be centred. Also says for which batch
    entries, (...), the error holds: those without huge messages. Underflow may add errors far below 2^-80. None without
    the compiled kernel, for double precision and on a GPU.
    """
    if messages.dtype != torch.float32 or function("distances", messages) is None:
        return None
    size = largest(messages)
    units = _units(size)
    holds = ~(size.isfinite() & (size > _NEAR * units)).any(dim=-2).squeeze(-1)
    return _one_by_one(messages, units).nan_to_num_(nan=torch.inf, posinf=torch.inf), holds


def in_units(away: Tensor) -> Tensor:
    """Centred messages (..., N, D) in float64, divided by a power of two near their median size, without rounding.

    A message beyond 2^500 units is scaled to about 2^500 units in the same direction.
    """
    away = away.double()
    return away / _units(largest(away))


def _units(size: Tensor) -> Tensor:
    """The divisor of each message, (..., N, 1), from their largest entries."""
    inner = size.kthvalue(size.shape[-2] // 2 + 1, dim=-2, keepdim=True).values
    # If more than half of the messages coincide, the median size is 0: take the largest size.
    others = torch.where(size.isfinite(), size, 0.0).amax(dim=-2, keepdim=True)
    unit = power_of_two(torch.where(inner > 0, inner, others))
    return torch.maximum(unit, power_of_two(size) * _FAR)


def multiplied_out(away: Tensor) -> Tensor:
    """``||m_i||^2 + ||m_j||^2 - 2 <m_i, m_j>``, (..., N, N), of messages (..., N, D); infinite if not finite.

    Computed by a matrix product: the error is a rounding error of the two squares. On a CPU the last bits depend on the
    indices i and j.
    """
    gram = product(away, away.mT)
    squares = gram.diagonal(dim1=-2, dim2=-1)
    # (i, j) and (j, i) may be rounded differently; adding both makes the result symmetric.
    distances = (squares.unsqueeze(-1) + squares.unsqueeze(-2)).sub_(gram + gram.mT).clamp_(min=0)
    distances.nan_to_num_(nan=torch.inf, posinf=torch.inf)
    distances.diagonal(dim1=-2, dim2=-1).zero_()
    return distances


def _one_by_one(away: Tensor, units: Tensor) -> Tensor:
    *batch, devices, dimension = away.shape
    compiled = function("distances", away, units)
    if compiled is None:
        runs = (away / units).numpy().reshape(-1, devices, dimension)
        return torch.from_numpy(np.array([_plain(run) for run in runs]).reshape(*batch, devices, devices))
    away, units = away.contiguous(), units.contiguous()
    out = torch.empty(*batch, devices, devices, dtype=torch.float64)
    compiled(away.data_ptr(), units.data_ptr(), out.data_ptr(), away[..., 0, 0].numel(), devices, dimension)
    return out


def _plain(away: NDArray[Any]) -> NDArray[Any]:
    """Squared distances (N, N) of messages (N, D), summed in the order of distances.cpp."""
    devices, dimension = away.shape
    padded = np.pad(away, [(0, 0), (0, -dimension % _LANES)])
    lanes = np.ascontiguousarray(padded.T).reshape(-1, _LANES, devices)  # (D / lanes, lanes, N)
    distances = np.zeros((devices, devices))
    with np.errstate(all="ignore"):
        for i in range(devices - 1):
            squares = np.square(lanes[..., i + 1 :] - lanes[..., i : i + 1])
            for first in range(0, len(squares), _BLOCK // _LANES):
                block = np.add.reduce(squares[first : first + _BLOCK // _LANES], axis=0)
                distances[i, i + 1 :] += np.add.accumulate(block, axis=0)[-1]
    return distances + distances.T


def power_of_two(size: Tensor) -> Tensor:
    """The largest power of two up to each size, within the range of normal numbers. Dividing by it is exact."""
    kind = torch.finfo(size.dtype)
    size = size.clamp(min=kind.tiny, max=kind.max)
    return size / (2 * torch.frexp(size).mantissa)


def largest(messages: Tensor) -> Tensor:
    """The largest magnitude in each message, (..., N, 1), of messages (..., N, D); NaN if an entry is NaN."""
    return torch.maximum(messages.amax(dim=-1, keepdim=True), messages.amin(dim=-1, keepdim=True).neg_())


def surely_finite(values: Tensor) -> bool:
    """Whether all values are known to be finite; False on a GPU, where testing it would force a synchronisation."""
    return values.device.type == "cpu" and bool(np.isfinite(values.numpy()).all())


def surely(flags: Tensor) -> bool:
    """Whether all flags are known to be true; False on a GPU, where testing it would force a synchronisation."""
    return flags.device.type == "cpu" and bool(flags.all())


def lengths(vectors: Tensor) -> Tensor:
    """``||v||``, (...), of vectors (..., D); infinite or NaN if an entry is.

    If squares might overflow or underflow, the entries are first divided by the largest magnitude: on a GPU for all
    vectors, on the CPU only for those that need it. Cost: D per vector.
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
    """``||m_i||``, (..., N), of messages (..., N, D) of any size; infinite if a message is not finite. Cost: N D."""
    return lengths(messages).nan_to_num_(nan=torch.inf, posinf=torch.inf)


def clipped(messages: Tensor, norm: Tensor, radius: float | Tensor) -> Tensor:
    """``m_i min(1, radius / ||m_i||)``, (..., N, D), of messages and their norms (..., N); 0 if a norm is infinite.

    ``radius`` is a number or broadcasts to (..., N). Cost: N D, one pass.
    """
    within = (radius / norm.clamp(min=radius)).nan_to_num_(nan=1.0)  # NaN if both are 0 or both infinite
    shorter = messages * within.unsqueeze(-1)
    if surely_finite(norm):
        return shorter
    return shorter.masked_fill_(norm.isinf().unsqueeze(-1), 0.0)  # 0 times infinity is NaN
