"""The k largest entries (Alistarh et al., 2018, 1809.10505; Stich et al., 2018, 1809.07599)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from byzcode.compression.compressor import Compressed, Compressor
from byzcode.compression.kept import Share, kept_of, place_bits
from byzcode.kernels.select import smallest
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def top_k(messages: Tensor, draws: Draws, number_bits: int, *, share: Share = 0.1) -> Compressed:
    """The k entries of largest magnitude, unchanged, zero elsewhere; of equal magnitudes, the first are kept.

    Shapes: (R, N, D) to (R, N, D). Cost: N D. Bits: k (b + ceil(log2 D)). Biased; ||C(x) - x||^2 <= delta ||x||^2,
    delta = 1 - k / D, with equality if all magnitudes are equal. A NaN counts as infinite.
    """
    dimension = messages.shape[-1]
    magnitude = messages.abs().nan_to_num(nan=math.inf, posinf=math.inf)
    keep = smallest(-magnitude, kept_of(dimension, share))
    return Compressed(torch.where(keep, messages, 0.0), bits(dimension, number_bits, share=share))


def delta(dimension: int, share: float) -> float:
    """1 - k / D, because only the smallest D - k entries are lost."""
    return 1 - kept_of(dimension, share) / dimension


def bits(dimension: int, number_bits: int, *, share: float) -> int:
    """A number and its place per kept entry."""
    return kept_of(dimension, share) * (number_bits + place_bits(dimension))


ENTRY = Compressor(top_k, delta, bits=bits, title="top-k")
