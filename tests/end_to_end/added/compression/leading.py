"""The first entries of a message, as if they were the important ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.compression.compressor import Compressed, Compressor
from byzcode.compression.kept import kept_of

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws

Share = Annotated[float, Field(gt=0, le=1, description="Which part of the entries is sent.")]


def leading(messages: Tensor, draws: Draws, number_bits: int, *, share: Share = 0.5) -> Compressed:
    """The first entries stay, the others become 0.

    Shapes: (R, N, D) to (R, N, D). Cost: N D. Bits: those of the numbers sent. Biased, delta = 1.
    """
    sent = messages.clone()
    sent[..., kept_of(messages.shape[-1], share) :] = 0
    return Compressed(sent, bits(messages.shape[-1], number_bits, share=share))


def delta(dimension: int, share: float) -> float:
    """All may be lost."""
    return 1.0


def bits(dimension: int, number_bits: int, *, share: float) -> int:
    """The numbers that are sent."""
    return kept_of(dimension, share) * number_bits


ENTRY = Compressor(leading, delta, bits=bits, title="leading entries")
