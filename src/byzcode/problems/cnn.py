"""Classification of images by two convolutions and two fully connected layers on a data set.

Each convolution has kernels of 3 x 3 pixels, padded by 1, and is followed by max(0, .) and by means over 2 x 2 pixels.
It maps to 16 and 32 channels; a hidden layer of ``hidden`` outputs and the layer of scores follow. With 28 x 28 pixels
and 10 classes these are 99,550 parameters. The loss is the cross entropy (:mod:`byzcode.problems.classification`).

theta has the layers in order, each a matrix (outputs, inputs + 1) whose last column has the biases; the inputs of a
convolution are channel by channel. The first weights of a seed are normal with variance 2 / inputs, the first biases 0
(He et al., 2015, "Delving deep into rectifiers", equation 10). They are the same for all methods.

F is not convex. Neither its optimum nor its smoothness is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from byzcode.data import DATA_SETS
from byzcode.errors import KeyedError
from byzcode.kernels.outer import Layer
from byzcode.kernels.product import batched, product
from byzcode.lazy import torch
from byzcode.problems import classification, layers
from byzcode.problems.classification import Classification, log_chances
from byzcode.problems.labelled import METRICS, placed, tensors_of
from byzcode.problems.on_data import (
    LABELS,
    TABLES,
    Chosen,
    Data,
    Divided,
    Evaluated,
    Groups,
    Minibatch,
    Subsets,
    available,
    count_examples,
    divisions,
)
from byzcode.problems.problem import ProblemKind, Sizes

if TYPE_CHECKING:
    from torch import Tensor

Width = Annotated[int, Field(ge=1, le=10**6)]

#: Channels after the convolutions, and pixels along a side of their kernels.
CHANNELS, KERNEL = (16, 32), 3

#: Examples that a convolution reads at a time. The rows that it multiplies, KERNEL^2 times as many as pixels, then stay
#: in the processor's cache.
EXAMPLES = 32


class Image(NamedTuple):
    """The size of an image."""

    channels: int
    height: int
    width: int


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


def _convolve(weight: Tensor, inputs: Tensor) -> tuple[Tensor, Convolved]:
    """The outputs after the means over pixels, (R, B, channels, h/2, w/2), with weights (R, channels, i + 1)."""
    outputs = _by_run(_outputs, weight, inputs)
    lines = outputs[..., ::2, :] + outputs[..., 1::2, :]
    return (lines[..., ::2] + lines[..., 1::2]).mul_(0.25), Convolved(inputs, outputs > 0)


def _outputs(kernels: Tensor, biases: Tensor, images: Tensor) -> Tensor:
    return torch.nn.functional.conv2d(images, kernels, biases, padding=KERNEL // 2).clamp_(min=0)


def _before(convolved: Convolved, error: Tensor) -> Tensor:
    """The derivatives with respect to a convolution's outputs, (R, B, channels, h, w), from those of the means."""
    spread = error.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
    return spread.mul_(0.25).mul_(convolved.positive)


def _of_inputs(weight: Tensor, error: Tensor) -> Tensor:
    """The derivatives with respect to a convolution's inputs, (R, B, c, h, w)."""
    return _by_run(_back, weight, error)


def _back(kernels: Tensor, _: Tensor, error: Tensor) -> Tensor:
    return torch.nn.functional.conv_transpose2d(error, kernels, padding=KERNEL // 2)


def _of_weights(convolved: Convolved, error: Tensor, pieces: Sequence[int]) -> Tensor:
    """The gradients of a convolution's weights, summed over pieces of so many consecutive examples, (R, pieces, D)."""
    error = error.flatten(-2)
    own = torch.cat([batched(error, _rows(convolved.inputs).mT), error.sum(dim=-1, keepdim=True)], dim=-1)
    return _sums(own.flatten(2), pieces)


def _sums(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """The sums of so many consecutive rows (R, n, D) each, (R, len(counts), D)."""
    if len(set(counts)) == 1:
        return rows.view(len(rows), len(counts), -1, rows.shape[-1]).sum(dim=-2)
    return torch.stack([own.sum(dim=1) for own in torch.split(rows, list(counts), dim=1)], dim=1)


def _in_pieces(sizes: Sequence[int]) -> list[list[int]]:
    """Each subset, by its size, in pieces of at most EXAMPLES examples."""
    return [[min(EXAMPLES, size - first) for first in range(0, size, EXAMPLES)] for size in sizes]


def _blocks(sizes: Sequence[int]) -> list[list[int]]:
    """Consecutive pieces of subsets in blocks of at most EXAMPLES examples."""
    blocks: list[list[int]] = []
    for piece in chain.from_iterable(_in_pieces(sizes)):
        if blocks and sum(blocks[-1]) + piece <= EXAMPLES:
            blocks[-1].append(piece)
        else:
            blocks.append([piece])
    return blocks


def _alike(sizes: Tensor) -> list[tuple[slice, list[int]]]:
    """Runs that convolve together, and their sizes of subsets: all runs if all have the same sizes, else each alone.

    The blocks of a run depend on its own sizes only, and so do its bits.
    """
    if (sizes == sizes[0]).all():
        return [(slice(None), sizes[0].tolist())]
    return [(slice(run, run + 1), own) for run, own in enumerate(sizes.tolist())]


@dataclass(frozen=True, eq=False)
class Forward(classification.Forward):
    """The log probabilities, the matrices of the layers, and the inputs of each."""

    weights: list[Tensor]
    convolved: list[list[tuple[Convolved, Convolved]]]  # of the runs that convolve together, of each block of examples
    inputs: list[Tensor]  # of the fully connected layers, (R, K, i + 1)

    @cached_property
    def errors(self) -> list[Tensor]:
        """The derivatives with respect to the outputs of the fully connected layers, (R, K, o)."""
        return layers.errors_of(self.weights[2:], self.inputs, self.error)

    def _convolutions(self) -> Iterator[Tensor]:
        """The gradients of both convolutions, each (R, M, D)."""
        made = [self._of_runs(*each) for each in zip(_alike(self.sizes), self.convolved, strict=True)]
        for gradients in zip(*made, strict=True):
            yield gradients[0] if len(gradients) == 1 else torch.cat(gradients)

    def _of_runs(
        self, alike: tuple[slice, list[int]], convolved: Sequence[tuple[Convolved, Convolved]]
    ) -> tuple[Tensor, Tensor]:
        """These gradients of runs that convolve together."""
        runs, sizes = alike
        errors, (_, inner, outer, *_) = self.errors[0][runs], [weight[runs] for weight in self.weights]
        begin, sums = 0, []
        for (first, second), pieces in zip(convolved, _blocks(sizes), strict=True):
            end = begin + sum(pieces)
            error = product(errors[:, begin:end], outer[..., :-1])
            channels, height, width = second.positive.shape[-3:]
            of_second = _before(second, error.view(len(error), -1, channels, height // 2, width // 2))
            of_first = _before(first, _of_inputs(inner, of_second))
            sums.append((_of_weights(first, of_first, pieces), _of_weights(second, of_second, pieces)))
            begin = end
        pieces = [len(each) for each in _in_pieces(sizes)]
        of_first, of_second = (_sums(torch.cat(parts, dim=1), pieces) for parts in zip(*sums, strict=True))
        return of_first, of_second

    def pieces(self) -> Iterator[Layer | Tensor]:
        """The gradients of the convolutions, and the fully connected layers."""
        yield from self._convolutions()
        for error, inputs in zip(self.errors, self.inputs, strict=True):
            yield Layer(error, inputs, self.sizes)


@dataclass(frozen=True, eq=False)
class CNN(Classification):
    """R problems of one shape, one per seed; see :func:`cnn`.

    ``first`` (R, D) has the first parameters, ``image`` the size of an image, ``shapes`` the inputs and outputs of the
    layers.
    """

    first: Tensor
    image: Image
    shapes: tuple[layers.Shape, ...]

    def start(self) -> Tensor:
        """theta^0, (R, D): random."""
        return self.first

    def forward(self, theta: Tensor) -> Forward:
        """The log probabilities of all examples and the inputs of all layers."""
        weights = layers.split(theta, self.shapes)
        made = [
            self._convolved([weight[runs] for weight in weights[:2]], self.features[runs], sizes)
            for runs, sizes in _alike(self.sizes)
        ]
        inputs = made[0][1] if len(made) == 1 else torch.cat([reached for _, reached in made])
        *reached, scores = layers.inputs_of(weights[2:], inputs)
        convolved = [blocks for blocks, _ in made]
        return Forward(self.sizes, self.factors, theta, log_chances(scores), self.targets, weights, convolved, reached)

    def test_scores(self, theta: Tensor) -> Tensor:
        """The scores of the test examples, (R, T, C)."""
        weights, tests = layers.split(theta, self.shapes), self.test_features.shape[1]
        return layers.inputs_of(weights[2:], self._convolved(weights, self.test_features, [tests])[1])[-1]

    def _convolved(
        self, weights: Sequence[Tensor], features: Tensor, sizes: Sequence[int]
    ) -> tuple[list[tuple[Convolved, Convolved]], Tensor]:
        """What the convolutions leave, by blocks of examples of subsets of these sizes, and the inputs that follow."""
        kept, outputs = [], []
        for block in torch.split(features, [sum(pieces) for pieces in _blocks(sizes)], dim=1):
            middle, first = _convolve(weights[0], block.reshape(*block.shape[:2], *self.image))
            end, second = _convolve(weights[1], middle)
            kept.append((first, second))
            outputs.append(end.flatten(2))
        return kept, layers.with_ones(torch.cat(outputs, dim=1))


def cnn(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    data: Data = "digits",
    subsets: Subsets = 100,
    partition: Divided = "iid",
    examples: Chosen = None,
    groups: Groups = None,
    minibatch: Minibatch = None,
    evaluate: Evaluated = "test",
    hidden: Annotated[Width, Field(description="Outputs of the hidden layer.")] = 60,
) -> CNN:
    """Classification of images by two convolutions. The seed also determines the first parameters."""
    image, shapes = _image(data), _shapes(data, hidden)
    divided = divisions(
        seeds, data=data, subsets=subsets, partition=partition, examples=examples, groups=groups, evaluate=evaluate
    )
    drawn = tensors_of(divided, seeds, DATA_SETS[data].classes)
    drawn["first"] = layers.first(seeds, "cnn/start", shapes)
    return CNN(image=image, shapes=tuple(shapes), minibatch=minibatch, **placed(drawn, device, dtype))


def _image(data: str) -> Image:
    """The size of the images of a data set. Raises KeyedError if it is not a set of images that this problem takes."""
    shape = DATA_SETS[data].shape
    if len(shape) != 3 or shape[1] % 4 or shape[2] % 4:
        raise KeyedError("data", data, "allowed: data sets of images whose sides are multiples of 4 pixels")
    return Image(*shape)


def _shapes(data: str, hidden: int) -> list[layers.Shape]:
    """The inputs and outputs of the convolutions, then those of the fully connected layers."""
    image, (first, second) = _image(data), CHANNELS
    flat = second * (image.height // 4) * (image.width // 4)
    square = KERNEL * KERNEL
    return [
        (image.channels * square, first),
        (first * square, second),
        *layers.shapes(flat, (hidden,), DATA_SETS[data].classes),
    ]


def _sizes(*, data: str, subsets: int, evaluate: str = "test", hidden: int, **division: Any) -> Sizes:
    known, (_, tests) = DATA_SETS[data], available(data, evaluate)
    samples = count_examples(data=data, subsets=subsets, evaluate=evaluate, **division)
    shapes = _shapes(data, hidden)
    dimension, pixels = layers.size(shapes), known.features
    first, second = CHANNELS
    rest = sum(each + 1 for each, _ in shapes[2:]) + sum(outputs for _, outputs in shapes[2:])
    kept = pixels * (first // 2 + second // 8) + 3 * rest  # the inputs of each layer, bytes where it is positive
    convolutions = layers.size(shapes[:2])
    return Sizes(
        subsets=subsets,
        samples=samples,
        dimension=dimension,
        data=samples * pixels,
        memory=2 * (samples + tests) * (pixels + known.classes)
        + (samples + tests) * kept
        + (3 * subsets + 2 * (samples // EXAMPLES)) * convolutions
        + 4 * min(subsets * dimension, max(classification.BLOCK, subsets * (shapes[2][0] + 1)))
        + 2 * dimension,
    )


ENTRY = ProblemKind(
    cnn,
    sizes=_sizes,
    title="CNN",
    tables=TABLES,
    labels=LABELS,
    knows=frozenset(),
    metrics=METRICS,
)
