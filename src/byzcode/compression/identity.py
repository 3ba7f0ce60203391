"""No compression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.compression.compressor import Compressed, Compressor

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def identity(messages: Tensor, draws: Draws, number_bits: int) -> Compressed:
    """The messages, unchanged, D numbers each.

    Shapes: (R, N, D) to (R, N, D). Bits: D b. Unbiased, delta = 0.
    """
    return Compressed(messages, bits(messages.shape[-1], number_bits))


def delta(dimension: int) -> float:
    """Nothing is lost."""
    return 0.0


def bits(dimension: int, number_bits: int) -> int:
    """All numbers."""
    return dimension * number_bits


ENTRY = Compressor(identity, delta, unbiased=True, lossless=True, bits=bits)
