"""Messages in units of their largest entry, so that norms neither overflow nor vanish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.kernels.distances import largest
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def relative(messages: Tensor) -> tuple[Tensor, Tensor]:
    """Messages (..., D) divided by their largest magnitude, and that magnitude (..., 1), or 1 for a zero message."""
    size = largest(messages)
    unit = torch.where(size == 0, 1.0, size)
    return messages / unit, unit
