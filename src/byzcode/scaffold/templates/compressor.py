"""Ternary gradients (Wen et al., 2017, 1705.07878)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from byzcode.compression.compressor import Compressed, Compressor
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def example(messages: Tensor, draws: Draws, number_bits: int) -> Compressed:
    """Each entry becomes 0 or its sign times the largest magnitude s, with probability |x_j| / s.

    Shapes: (R, N, D) to (R, N, D). Cost: N D. Bits: 2 D and one number. Unbiased, delta = (sqrt(D) - 1) / 2.
    """
    largest = messages.abs().amax(dim=-1, keepdim=True)
    share = torch.where(largest > 0, messages.abs() / largest, 0.0)
    kept = draws.for_messages(messages) < share
    return Compressed(torch.where(kept, largest * messages.sign(), 0.0), bits(messages.shape[-1], number_bits))


def delta(dimension: int) -> float:
    """||x||_1 s <= (1 + sqrt(D)) / 2 ||x||^2."""
    return (math.sqrt(dimension) - 1) / 2


def bits(dimension: int, number_bits: int) -> int:
    """Two for each entry, and the largest magnitude."""
    return 2 * dimension + number_bits


ENTRY = Compressor(
    example,
    delta,
    unbiased=True,
    bits=bits,
    title="example",
)
