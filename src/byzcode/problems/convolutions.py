"""Convolutions with explicit derivatives, by blocks of examples.

A convolution has kernels of KERNEL x KERNEL pixels, padded by KERNEL // 2, and is followed by max(0, .) and by means
over 2 x 2 pixels. Its weights are (R, channels, i + 1): the last column has the biases, and the i inputs are the pixels
under the kernel, channel by channel. For each pixel it costs O(i channels).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from byzcode.kernels.product import batched
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Pixels along a side of the kernels.
KERNEL = 3

#: Examples that a convolution reads at a time. The rows that it multiplies, KERNEL^2 times as many as pixels, then stay
#: in the processor's cache.
EXAMPLES = 32


class Convolved(NamedTuple):
    """What the derivatives of a convolution need of some examples: its inputs, and where its outputs are positive."""

    inputs: Tensor  # (R, B, c, h, w)
    positive: Tensor  # (R, B, channels, h, w)


def _rows(inputs: Tensor) -> Tensor:
    """The pixels under the kernel at each pixel, (R, B, c KERNEL^2, h w), of images (R, B, c, h, w)."""
    edge = KERNEL // 2
    padded = torch.nn.functional.pad(inputs, (edge, edge, edge, edge))
    windows = padded.unfold(-2, KERNEL, 1).unfold(-2, KERNEL, 1)  # (R, B, c, h, w, KERNEL, KERNEL)
    return windows.permute(0, 1, 2, 5, 6, 3, 4).flatten(2, 4).flatten(-2)


def _by_run(function: Callable[[Tensor, Tensor, Tensor], Tensor], weight: Tensor, images: Tensor) -> Tensor:
    """A function of the kernels (channels, c, KERNEL, KERNEL), biases and images (B, ., h, w) of each run."""
    kernels = weight[..., :-1].reshape(*weight.shape[:2], -1, KERNEL, KERNEL)
    made = [function(*own) for own in zip(kernels, weight[..., -1], images, strict=True)]
    return torch.stack(made) if len(made) > 1 else made[0].unsqueeze(0)


def convolve(weight: Tensor, inputs: Tensor) -> tuple[Tensor, Convolved]:
    """The outputs after the means over pixels, (R, B, channels, h/2, w/2), with weights (R, channels, i + 1)."""
    outputs = _by_run(_outputs, weight, inputs)
    lines = outputs[..., ::2, :] + outputs[..., 1::2, :]
    return (lines[..., ::2] + lines[..., 1::2]).mul_(0.25), Convolved(inputs, outputs > 0)


def _outputs(kernels: Tensor, biases: Tensor, images: Tensor) -> Tensor:
    return torch.nn.functional.conv2d(images, kernels, biases, padding=KERNEL // 2).clamp_(min=0)


def before_means(convolved: Convolved, error: Tensor) -> Tensor:
    """The derivatives with respect to a convolution's outputs, (R, B, channels, h, w), from those of the means."""
    spread = error.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
    return spread.mul_(0.25).mul_(convolved.positive)


def of_inputs(weight: Tensor, error: Tensor) -> Tensor:
    """The derivatives with respect to a convolution's inputs, (R, B, c, h, w)."""
    return _by_run(_back, weight, error)


def _back(kernels: Tensor, _: Tensor, error: Tensor) -> Tensor:
    return torch.nn.functional.conv_transpose2d(error, kernels, padding=KERNEL // 2)


def of_weights(convolved: Convolved, error: Tensor, pieces: Sequence[int]) -> Tensor:
    """The gradients of a convolution's weights, summed over pieces of so many consecutive examples, (R, pieces, D)."""
    error = error.flatten(-2)
    own = torch.cat([batched(error, _rows(convolved.inputs).mT), error.sum(dim=-1, keepdim=True)], dim=-1)
    return sums_of(own.flatten(2), pieces)


def sums_of(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """The sums of so many consecutive rows (R, n, D) each, (R, len(counts), D)."""
    if len(set(counts)) == 1:
        return rows.view(len(rows), len(counts), -1, rows.shape[-1]).sum(dim=-2)
    return torch.stack([own.sum(dim=1) for own in torch.split(rows, list(counts), dim=1)], dim=1)


def in_pieces(sizes: Sequence[int]) -> list[list[int]]:
    """Each subset, by its size, in pieces of at most EXAMPLES examples."""
    return [[min(EXAMPLES, size - first) for first in range(0, size, EXAMPLES)] for size in sizes]


def blocks_of(sizes: Sequence[int]) -> list[list[int]]:
    """Consecutive pieces of subsets in blocks of at most EXAMPLES examples."""
    blocks: list[list[int]] = []
    for piece in chain.from_iterable(in_pieces(sizes)):
        if blocks and sum(blocks[-1]) + piece <= EXAMPLES:
            blocks[-1].append(piece)
        else:
            blocks.append([piece])
    return blocks


def together(sizes: Tensor) -> list[tuple[slice, list[int]]]:
    """Runs that convolve together, and their sizes of subsets: all runs if all have the same sizes, else each alone.

    The blocks of a run depend on its own sizes only, and so do its bits.
    """
    if (sizes == sizes[0]).all():
        return [(slice(None), sizes[0].tolist())]
    return [(slice(run, run + 1), own) for run, own in enumerate(sizes.tolist())]
