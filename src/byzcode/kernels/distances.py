"""Norms of messages and distances between them, with the same bits alone and in a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from byzcode.kernels.order import median
from byzcode.kernels.product import product
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def centred(messages: Tensor) -> tuple[Tensor, Tensor]:
    """Messages (..., N, D) without their coordinate-wise median, and that median, (..., 1, D).

    Fewer than N/2 lies do not reach it. Off it, what nearly coincides far from zero is told apart to rounding.
    """
    origin = median(messages).unsqueeze(-2)
    return messages - origin, origin


def squared_distances(away: Tensor) -> Tensor:
    """``||m_i - m_j||^2``, (..., N, N), of centred messages (..., N, D); infinite where a message is not finite.

    ``||m_i||^2 + ||m_j||^2 - 2 <m_i, m_j>``: exact to rounding of the two squares, so centre them first. Each entry is
    made of its two messages alone: no lie touches the distance of two others. Beyond 1e154 a distance counts as
    infinite. Cost: N^2 D, one matrix product.
    """
    gram = product(away, away.mT)
    squares = gram.diagonal(dim1=-2, dim2=-1)
    # BLAS may round (i, j) and (j, i) differently: together they are symmetric.
    distances = (squares.unsqueeze(-1) + squares.unsqueeze(-2)).sub_(gram + gram.mT).clamp_(min=0)
    distances.nan_to_num_(nan=torch.inf, posinf=torch.inf)
    distances.diagonal(dim1=-2, dim2=-1).zero_()
    return distances


def largest(messages: Tensor) -> Tensor:
    """The largest magnitude in each of messages (..., N, D), (..., N, 1); NaN where one is."""
    return torch.maximum(messages.amax(dim=-1, keepdim=True), messages.amin(dim=-1, keepdim=True).neg_())


def surely_finite(values: Tensor) -> bool:
    """Whether all are finite, on the CPU; on a GPU the answer would have to be waited for, and is no."""
    return values.device.type == "cpu" and bool(np.isfinite(values.numpy()).all())


def surely(flags: Tensor) -> bool:
    """Whether all are true, on the CPU; on a GPU the answer would have to be waited for, and is no."""
    return flags.device.type == "cpu" and bool(flags.all())


def norms(messages: Tensor) -> Tensor:
    """``||m_i||``, (..., N), of messages (..., N, D); infinite where a message is not finite.

    Squares neither overflow nor vanish: where they might, norms are taken of entries in units of the largest.
    On a GPU all are, on the CPU only messages that need it. Cost: N D.
    """
    if messages.device.type != "cpu":
        return _scaled_norms(messages)
    norm: Tensor = torch.linalg.vector_norm(messages, dim=-1)
    kind = torch.finfo(messages.dtype)
    rough = ~((norm.numpy() > kind.tiny**0.5 / kind.eps) & (norm.numpy() < np.inf))
    if rough.any():
        rows = torch.from_numpy(rough)
        norm[rows] = _scaled_norms(messages[rows])
    return norm


def _scaled_norms(messages: Tensor) -> Tensor:
    size = largest(messages)
    size = torch.where(size > 0, size, 1.0)
    norm: Tensor = size.squeeze(-1) * torch.linalg.vector_norm(messages / size, dim=-1)
    return norm.nan_to_num_(nan=torch.inf, posinf=torch.inf)


def clipped(messages: Tensor, norm: Tensor, radius: float | Tensor) -> Tensor:
    """``m_i min(1, radius / ||m_i||)``, (..., N, D), of messages and their norms (..., N); 0 where one is infinite.

    ``radius`` is a number or broadcasts to (..., N). Cost: N D, one pass.
    """
    within = (radius / norm.clamp(min=radius)).nan_to_num_(nan=1.0)  # where both are 0 or infinite
    shorter = messages * within.unsqueeze(-1)
    if surely_finite(norm):
        return shorter
    return shorter.masked_fill_(norm.isinf().unsqueeze(-1), 0.0)  # 0 times infinity is NaN
