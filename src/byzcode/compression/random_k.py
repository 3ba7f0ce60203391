"""Random sparsification to k entries (Stich et al., 2018, 1809.07599; scaled as in Wangni et al., 2018, 1710.09854)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byzcode.compression.compressor import Compressed, Compressor
from byzcode.compression.kept import Share, kept_of, place_bits
from byzcode.kernels.select import smallest
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws

Mask = Annotated[
    Literal["independent", "shared"],
    Field(description="Whether each device draws its own entries, or all devices of a run keep the same ones."),
]


def random_k(
    messages: Tensor, draws: Draws, number_bits: int, *, share: Share = 0.1, mask: Mask = "independent"
) -> Compressed:
    """D / k times the entries of a uniform k-subset, zero elsewhere.

    Shapes: (R, N, D) to (R, N, D). Cost: N D. Bits: k (b + ceil(log2 D)) with independent masks; k b with a shared
    one, which the server draws too. Unbiased, and E ||C(x) - x||^2 = delta ||x||^2 exactly, delta = D / k - 1.
    Independent masks add delta (1 - 1/H) (1/H) sum ||g_i||^2 to the dispersion of H honest messages; a shared mask
    multiplies it by D / k, and moves their mean by (D / k - 1) ||mean||^2 (both in expectation).
    """
    *_, devices, dimension = messages.shape
    k = kept_of(dimension, share)
    own = mask == "independent"
    keep = smallest(draws.uniform(devices if own else 1, dimension), k)
    bits = k * (number_bits + (place_bits(dimension) if own else 0))
    return Compressed(torch.where(keep, messages * (dimension / k), 0.0), bits)


ENTRY = Compressor(random_k)
