"""The scaled sign (Karimireddy et al., 2019, 1901.09847)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.compression.compressor import Compressed, Compressor
from byzcode.compression.relative import relative
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def scaled_sign(messages: Tensor, draws: Draws, number_bits: int) -> Compressed:
    """(||x||_1 / D) sign(x): one bit per entry; the sign of a zero is its sign bit.

    Shapes: (R, N, D) to (R, N, D). Cost: N D. Bits: D + b. Biased;
    ||C(x) - x||^2 = (1 - ||x||_1^2 / (D ||x||^2)) ||x||^2, so delta = 1 - 1 / D. A message that is not finite becomes
    NaN.
    """
    ratio, unit = relative(messages)
    mean = unit * ratio.abs().mean(dim=-1, keepdim=True)
    return Compressed(torch.copysign(mean, messages), bits(messages.shape[-1], number_bits))


def delta(dimension: int) -> float:
    """1 - 1 / D, because ||x||_1 >= ||x||, with equality if a single entry is not zero."""
    return 1 - 1 / dimension


def bits(dimension: int, number_bits: int) -> int:
    """The signs, and the mean magnitude."""
    return dimension + number_bits


ENTRY = Compressor(scaled_sign, delta, bits=bits)
