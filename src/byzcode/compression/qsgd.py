"""Stochastic quantisation, QSGD (Alistarh et al., 2017, 1610.02132)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from byzcode.compression.compressor import Compressed, Compressor
from byzcode.compression.relative import relative

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws

Levels = Annotated[
    int, Field(ge=1, le=2**31, description="s: the norm is divided into this many steps. The default is our choice.")
]


def qsgd(messages: Tensor, draws: Draws, number_bits: int, *, levels: Levels = 4) -> Compressed:
    """Each entry becomes ||x|| sign(x_j) xi_j / s, where xi_j is s |x_j| / ||x||, randomly rounded to an integer.

    The probability of rounding up is the fractional part. Shapes: (R, N, D) to (R, N, D). Cost: N D. Bits:
    b + D (1 + ceil(log2(s + 1))), a fixed length. Unbiased, delta = min(D / s^2, sqrt(D) / s). A message that is not
    finite becomes NaN.
    """
    dimension = messages.shape[-1]
    ratio, unit = relative(messages)
    norm = ratio.square().sum(dim=-1, keepdim=True).sqrt().clamp(min=1)  # it is at least 1, or 0
    level = ratio * (levels / norm)
    lower = level.trunc()
    up = draws.for_messages(messages) < (level - lower).abs()
    steps = lower + up * level.sign()
    # Multiply by the unit last: the norm itself may overflow although the result does not.
    return Compressed(steps * (norm / levels) * unit, bits(dimension, number_bits, levels=levels))


def delta(dimension: int, levels: int) -> float:
    """Lemma 3.1 of the paper."""
    return min(dimension / levels**2, math.sqrt(dimension) / levels)


def bits(dimension: int, number_bits: int, *, levels: int) -> int:
    """The norm, and a sign and a level per entry."""
    return number_bits + dimension * (1 + levels.bit_length())


def choices(dimension: int, number_bits: int, most: float) -> Iterator[dict[str, Any]]:
    """Powers of two as levels."""
    return ({"levels": 2**power} for power in range(13))


ENTRY = Compressor(qsgd, delta, unbiased=True, bits=bits, choices=choices, title="QSGD")
