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

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from byzcode.data import DATA_SETS, PARTITIONS, DataName, PartitionName
from byzcode.errors import KeyedError
from byzcode.kernels.product import batched, product
from byzcode.lazy import torch
from byzcode.problems import classification, layers
from byzcode.problems.classification import METRICS, Classification, Count, examples, log_chances, of_layer, samples_of
from byzcode.problems.problem import ProblemKind, Sizes

if TYPE_CHECKING:
    from torch import Tensor

Width = Annotated[int, Field(ge=1, le=10**6)]

#: Channels after the convolutions, and pixels along a side of their kernels.
CHANNELS, KERNEL = (16, 32), 3

#: Examples that a convolution reads at a time, in complete subsets; of larger subsets it reads a single one. The rows
#: that it multiplies, KERNEL^2 times as many as pixels, then take a few megabytes.
EXAMPLES = 64


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
    unfolded = torch.nn.functional.unfold(inputs.flatten(0, 1), KERNEL, padding=KERNEL // 2)
    return unfolded.view(*inputs.shape[:2], *unfolded.shape[1:])


def _convolve(weight: Tensor, inputs: Tensor) -> tuple[Tensor, Convolved]:
    """The outputs after the means over pixels, (R, B, channels, h/2, w/2), with weights (R, channels, i + 1)."""
    matrices = weight[..., :-1].unsqueeze(1).expand(-1, inputs.shape[1], -1, -1)
    outputs = batched(matrices, _rows(inputs)) + weight[..., -1:].unsqueeze(1)
    outputs = outputs.view(*outputs.shape[:3], *inputs.shape[-2:]).clamp_(min=0)
    pooled = torch.nn.functional.avg_pool2d(outputs.flatten(0, 1), 2)
    return pooled.view(*inputs.shape[:2], *pooled.shape[1:]), Convolved(inputs, outputs > 0)


def _before(convolved: Convolved, error: Tensor) -> Tensor:
    """The derivatives with respect to a convolution's outputs, (R, B, channels, h w), from those of the means."""
    spread = error.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
    return spread.mul_(0.25).mul_(convolved.positive).flatten(-2)


def _of_inputs(weight: Tensor, convolved: Convolved, error: Tensor) -> Tensor:
    """The derivatives with respect to a convolution's inputs, (R, B, c, h, w)."""
    matrices = weight[..., :-1].mT.unsqueeze(1).expand(-1, error.shape[1], -1, -1)
    back, (height, width) = batched(matrices, error), convolved.inputs.shape[-2:]
    folded = torch.nn.functional.fold(back.flatten(0, 1), (height, width), KERNEL, padding=KERNEL // 2)
    return folded.view(convolved.inputs.shape)


def _of_weights(convolved: Convolved, error: Tensor, samples: int) -> Tensor:
    """The gradients of a convolution's weights, summed over ``samples`` consecutive examples, (R, B / samples, D)."""
    runs, number = error.shape[:2]
    own = torch.cat([batched(error, _rows(convolved.inputs).mT), error.sum(dim=-1, keepdim=True)], dim=-1)
    return own.view(runs, number // samples, samples, -1).sum(dim=-2)


@dataclass(frozen=True, eq=False)
class Forward(classification.Forward):
    """The log probabilities, the matrices of the layers, and the inputs of each."""

    weights: list[Tensor]
    convolved: list[tuple[Convolved, Convolved]]  # of each block of examples
    inputs: list[Tensor]  # of the fully connected layers, (R, K, i + 1)

    @cached_property
    def errors(self) -> list[Tensor]:
        """The derivatives with respect to the outputs of the fully connected layers, (R, K, o)."""
        return layers.errors_of(self.weights[2:], self.inputs, self.error)

    def _convolutions(self) -> Iterator[Tensor]:
        """The gradients of both convolutions, each (R, M, D)."""
        samples, first = self.targets.shape[1] // self.subsets, 0
        found: list[tuple[Tensor, Tensor]] = []
        for one, two in self.convolved:
            last = first + one.inputs.shape[1]
            error = product(self.errors[0][:, first:last], self.weights[2][..., :-1])
            channels, height, width = two.positive.shape[-3:]
            second = _before(two, error.view(len(error), last - first, channels, height // 2, width // 2))
            earlier = _before(one, _of_inputs(self.weights[1], two, second))
            found.append((_of_weights(one, earlier, samples), _of_weights(two, second, samples)))
            first = last
        for parts in zip(*found, strict=True):
            yield torch.cat(parts, dim=1)

    def parts(self) -> Iterator[Tensor]:
        """The gradients of all subsets: of the convolutions, then some outputs of a layer at a time."""
        yield from self._convolutions()
        for error, inputs in zip(self.errors, self.inputs, strict=True):
            yield from of_layer(error, inputs, self.subsets)


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
        convolved, inputs = self._convolved(weights, self.features, self.features.shape[1] // self.subsets)
        *reached, scores = layers.inputs_of(weights[2:], inputs)
        return Forward(self.subsets, theta, log_chances(scores), self.targets, weights, convolved, reached)

    def test_scores(self, theta: Tensor) -> Tensor:
        """The scores of the test examples, (R, T, C)."""
        weights = layers.split(theta, self.shapes)
        return layers.inputs_of(weights[2:], self._convolved(weights, self.test_features, 1)[1])[-1]

    def _convolved(
        self, weights: Sequence[Tensor], features: Tensor, samples: int
    ) -> tuple[list[tuple[Convolved, Convolved]], Tensor]:
        """What the convolutions leave, by blocks of subsets of ``samples`` examples, and the inputs that follow."""
        kept, outputs = [], []
        number = samples * max(1, EXAMPLES // samples)
        for start in range(0, features.shape[1], number):
            block = features[:, start : start + number]
            middle, one = _convolve(weights[0], block.reshape(*block.shape[:2], *self.image))
            end, two = _convolve(weights[1], middle)
            kept.append((one, two))
            outputs.append(end.flatten(2))
        return kept, layers.with_ones(torch.cat(outputs, dim=1))


def cnn(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    data: Annotated[DataName, Field(description="The data set, of images.")] = "digits",
    subsets: Annotated[Count, Field(description="M, the number of data subsets, all of the same size.")] = 100,
    partition: Annotated[PartitionName, Field(description="How examples are divided into subsets.")] = "iid",
    hidden: Annotated[Width, Field(description="Outputs of the hidden layer.")] = 60,
) -> CNN:
    """Classification of images by two convolutions. The seed also determines the first parameters."""
    image, shapes = _image(data), _shapes(data, hidden)
    drawn = examples(seeds, data, subsets, partition)
    drawn["first"] = layers.first(seeds, "cnn/start", shapes)
    kind = getattr(torch, dtype)
    tensors = {name: each.to(device, kind) for name, each in drawn.items()}
    return CNN(subsets=subsets, image=image, shapes=tuple(shapes), **tensors)


def _image(data: str) -> Image:
    """The size of the images of a data set; square and grey unless the set says otherwise. Raises KeyedError."""
    known = DATA_SETS[data]
    side = math.isqrt(known.features)
    image = Image(*(getattr(known, "shape", ()) or (1, side, side)))
    if math.prod(image) != known.features or image.height % 4 or image.width % 4:
        raise KeyedError("data", data, "allowed: data sets of images whose sides are multiples of 4 pixels")
    return image


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


def _sizes(*, data: str, subsets: int, hidden: int, **_: Any) -> Sizes:
    known, samples = DATA_SETS[data], samples_of(data, subsets)
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
        memory=2 * (samples + known.test) * (pixels + known.classes)
        + (samples + known.test) * kept
        + subsets * convolutions * 3
        + 4 * min(subsets * dimension, max(classification.BLOCK, subsets * (shapes[2][0] + 1)))
        + 2 * dimension,
    )


ENTRY = ProblemKind(
    cnn,
    sizes=_sizes,
    title="CNN",
    tables={"data": DATA_SETS, "partition": PARTITIONS},
    labels={"partition": ("partition:", "how examples are divided")},
    knows=frozenset(),
    metrics=METRICS,
)
