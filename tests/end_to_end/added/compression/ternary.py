"""Ternary gradients (Wen et al., 2017, 1705.07878)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.compression.compressor import Compressed
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def ternary(messages: Tensor, draws: Draws, number_bits: int) -> Compressed:
    """Each entry becomes 0 or its sign times the largest magnitude s, with probability |x_j| / s.

    Shapes: (R, N, D) to (R, N, D). Cost: N D. Bits: 2 D and one number. Unbiased, delta = (sqrt(D) - 1) / 2.
    """
    largest = messages.abs().amax(dim=-1, keepdim=True)
    share = torch.where(largest > 0, messages.abs() / largest, 0.0)
    kept = draws.uniform(*messages.shape[-2:]) < share
    return Compressed(torch.where(kept, largest * messages.sign(), 0.0), 2 * messages.shape[-1] + number_bits)
