"""Messages, gradient and distances of the subsets' gradients, without the M D numbers of these: float32 on a CPU.

A model hands over its gradients in pieces: linear layers, whose gradients are products of what it has anyway, and
gradients of the subsets, (R, M, width). In other precisions, on a GPU or without the compiled kernels, and for layers
that the kernel does not take, the gradients are computed for some coordinates at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from byzcode.kernels import outer
from byzcode.kernels.distances import lengths
from byzcode.kernels.gather import Code, coded_rows
from byzcode.kernels.outer import Layer
from byzcode.kernels.product import product
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    Piece: TypeAlias = Layer | Tensor
    #: The gradients of the subsets of a layer, some coordinates at a time.
    Parts: TypeAlias = Callable[[Layer], Iterator[Tensor]]


def _places(pieces: Iterator[Piece]) -> Iterator[tuple[Piece, slice]]:
    """Each piece, with its place along the coordinates."""
    first = 0
    for piece in pieces:
        last = first + (piece.parameters if isinstance(piece, Layer) else piece.shape[-1])
        yield piece, slice(first, last)
        first = last


def messages(pieces: Iterator[Piece], parts: Parts, code: Code, out: Tensor) -> Tensor:
    """The coded gradients, written into ``out`` (R, N, D)."""
    for piece, place in _places(pieces):
        if isinstance(piece, Layer):
            if outer.coded(piece, code, out[..., place]):
                continue
            made: Sequence[Tensor] = list(parts(piece))
        else:
            made = [piece]
        ones = made[0].new_ones(made[0].shape[:2])
        out[..., place] = torch.cat([coded_rows(part, ones, code) for part in made], dim=-1)
    return out


def mean(pieces: Iterator[Piece], out: Tensor) -> Tensor:
    """The mean of the subsets' gradients, written into ``out`` (R, D)."""
    for piece, place in _places(pieces):
        if isinstance(piece, Layer):
            out[:, place] = product(piece.left.mT, piece.right).flatten(-2) / piece.sizes.shape[1]
        else:
            out[:, place] = piece.mean(dim=-2)
    return out


def distances(pieces: Iterator[Piece], parts: Parts, centre: Tensor, subsets: int) -> Tensor:
    """The distances of the subsets' gradients from ``centre`` (R, D), (R, M)."""
    squares = centre.new_zeros(len(centre), subsets, dtype=torch.float64)
    for piece, place in _places(pieces):
        own = centre[:, place]
        if isinstance(piece, Layer):
            if outer.squared_distances(piece, own, squares):
                continue
            piece = torch.cat(list(parts(piece)), dim=-1)
        squares += lengths(piece - own.unsqueeze(1)).double().square()
    return squares.sqrt().to(centre.dtype)
