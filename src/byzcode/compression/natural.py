"""Natural compression (Horvath et al., 2019, 1905.10988)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.compression.compressor import Compressed, Compressor
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def natural(messages: Tensor, draws: Draws, number_bits: int) -> Compressed:
    """Each entry is rounded at random, without bias, to one of the two powers of two around its magnitude.

    |x_j| = 2^e (1 + u) becomes 2^(e + 1) with probability u, else 2^e: powers of two and zeros stay. Shapes: (R, N, D)
    to (R, N, D). Cost: N D. Bits: 9 D, a sign and an exponent of 8 bits (as in float32; larger exponents are counted
    alike and not cut off). Unbiased, delta = 1 / 8. Infinities and NaN stay.
    """
    # The significand 1 + u and the division by it are exact. The clamp keeps zeros (mantissa 0) and infinities.
    significand = (2 * torch.frexp(messages).mantissa.abs()).clamp(1, 2)
    up = draws.for_messages(messages) < significand - 1
    return Compressed(messages / significand * (1.0 + up), bits(messages.shape[-1], number_bits))


def delta(dimension: int) -> float:
    """(x - low) (high - x) is at most x^2 / 8 between powers of two, high = 2 low."""
    return 1 / 8


def bits(dimension: int, number_bits: int) -> int:
    """A sign and an exponent per entry."""
    return 9 * dimension


ENTRY = Compressor(natural, delta, unbiased=True, bits=bits)
