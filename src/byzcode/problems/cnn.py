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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from byzcode.data import DATA_SETS
from byzcode.errors import KeyedError
from byzcode.kernels.outer import Layer
from byzcode.kernels.product import product
from byzcode.lazy import torch
from byzcode.problems import classification, layers
from byzcode.problems.classification import Classification, log_chances
from byzcode.problems.convolutions import (
    EXAMPLES,
    KERNEL,
    Convolved,
    before_means,
    blocks_of,
    convolve,
    in_pieces,
    of_inputs,
    of_weights,
    sums_of,
    together,
)
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

#: Channels after the convolutions.
CHANNELS = (16, 32)


class Image(NamedTuple):
    """The size of an image."""

    channels: int
    height: int
    width: int


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
        made = [self._of_runs(*each) for each in zip(together(self.sizes), self.convolved, strict=True)]
        for gradients in zip(*made, strict=True):
            yield gradients[0] if len(gradients) == 1 else torch.cat(gradients)

    def _of_runs(
        self, alike: tuple[slice, list[int]], convolved: Sequence[tuple[Convolved, Convolved]]
    ) -> tuple[Tensor, Tensor]:
        """These gradients of runs that convolve together."""
        runs, sizes = alike
        errors, (_, inner, outer, *_) = self.errors[0][runs], [weight[runs] for weight in self.weights]
        begin, sums = 0, []
        for (first, second), pieces in zip(convolved, blocks_of(sizes), strict=True):
            end = begin + sum(pieces)
            error = product(errors[:, begin:end], outer[..., :-1])
            channels, height, width = second.positive.shape[-3:]
            of_second = before_means(second, error.view(len(error), -1, channels, height // 2, width // 2))
            of_first = before_means(first, of_inputs(inner, of_second))
            sums.append((of_weights(first, of_first, pieces), of_weights(second, of_second, pieces)))
            begin = end
        pieces = [len(each) for each in in_pieces(sizes)]
        of_first, of_second = (sums_of(torch.cat(parts, dim=1), pieces) for parts in zip(*sums, strict=True))
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
            for runs, sizes in together(self.sizes)
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
        for block in torch.split(features, [sum(pieces) for pieces in blocks_of(sizes)], dim=1):
            middle, first = convolve(weights[0], block.reshape(*block.shape[:2], *self.image))
            end, second = convolve(weights[1], middle)
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
    square = KERNEL**2
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
