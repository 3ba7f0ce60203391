"""Bernoulli sparsification (Wangni et al., 2018, 1710.09854, with equal probabilities)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.compression.compressor import Compressed, Compressor
from byzcode.compression.kept import Share, place_bits
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def bernoulli(messages: Tensor, draws: Draws, number_bits: int, *, share: Share = 0.1) -> Compressed:
    """Each entry independently becomes x_j / p with probability p = ``share``, else zero.

    Shapes: (R, N, D) to (R, N, D). Cost: N D. Bits: b + ceil(log2 D) per entry that is kept, (R, N). Unbiased, and
    E ||C(x) - x||^2 = delta ||x||^2 exactly, delta = 1 / p - 1.
    """
    dimension = messages.shape[-1]
    keep = draws.for_messages(messages) <= share  # not "<", because a uniform float32 may be rounded up to 1
    bits = keep.sum(dim=-1) * (number_bits + place_bits(dimension))
    return Compressed(torch.where(keep, messages / share, 0.0), bits)


def delta(dimension: int, share: float) -> float:
    """The exact constant, 1 / p - 1."""
    return 1 / share - 1


ENTRY = Compressor(bernoulli, delta, unbiased=True)
