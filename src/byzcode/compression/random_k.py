"""Random sparsification to k entries (Stich et al., 2018, 1809.07599; scaled as in Wangni et al., 2018, 1710.09854)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    """D / k times the entries of a uniformly drawn k-subset, zero elsewhere.

    Shapes: (R, N, D) to (R, N, D). Cost: N D. Bits: k (b + ceil(log2 D)) with independent masks; k b with a shared
    mask, which the server draws too. Unbiased, and E ||C(x) - x||^2 = delta ||x||^2 exactly, delta = D / k - 1.
    Independent masks add delta (1 - 1/H) (1/H) sum ||g_i||^2 to the dispersion of H honest messages; a shared mask
    multiplies it by D / k, and moves their mean by (D / k - 1) ||mean||^2 (both in expectation).
    """
    dimension = messages.shape[-1]
    k = kept_of(dimension, share)
    keep = smallest(draws.for_messages(messages, shared=mask == "shared"), k)
    kept = torch.where(keep, messages * (dimension / k), 0.0)
    return Compressed(kept, bits(dimension, number_bits, share=share, mask=mask))


def delta(dimension: int, share: float, mask: str = "independent") -> float:
    """The exact constant, D / k - 1."""
    return dimension / kept_of(dimension, share) - 1


def bits(dimension: int, number_bits: int, *, share: float, mask: str) -> int:
    """A number per kept entry, and its place if the server does not know the mask."""
    return kept_of(dimension, share) * _entry_bits(dimension, number_bits, mask)


def shared(*, share: float, mask: str) -> bool:
    """Whether all devices keep the same entries."""
    return mask == "shared"


def choices(dimension: int, number_bits: int, most: float) -> Iterator[dict[str, Any]]:
    """For each kind of mask, as many entries as fit."""
    for mask in ("independent", "shared"):
        kept = min(int(min(most, number_bits * dimension) // _entry_bits(dimension, number_bits, mask)), dimension - 1)
        if kept >= 1:
            yield {"share": kept / dimension, "mask": mask}


def _entry_bits(dimension: int, number_bits: int, mask: str) -> int:
    return number_bits + (place_bits(dimension) if mask == "independent" else 0)


ENTRY = Compressor(random_k, delta, unbiased=True, bits=bits, shared=shared, choices=choices, title="random-k")
