"""Fully connected layers with explicit derivatives.

A layer maps h to W (h, 1), where the last column of W (o, i + 1) has the biases. Hidden layers apply max(0, .). The
first weights are those of He et al. (2015): normal with variance 2 / i, and the first biases 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from byzcode.kernels.product import outputs_of, product
from byzcode.lazy import torch
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

#: Inputs and outputs of a layer.
Shape = tuple[int, int]


def shapes(inputs: int, hidden: Sequence[int], outputs: int) -> list[Shape]:
    """The inputs i and outputs o of each layer."""
    return list(pairwise((inputs, *hidden, outputs)))


def size(layers: Sequence[Shape]) -> int:
    """The number of parameters of layers with biases."""
    return sum((inputs + 1) * outputs for inputs, outputs in layers)


def first(seeds: Sequence[int], purpose: str, layers: Sequence[Shape]) -> Tensor:
    """The first parameters, (R, D), in float64: the same for all methods of a seed."""
    return torch.stack([torch.from_numpy(_drawn(Stream(seed, purpose).at(0), layers)) for seed in seeds])


def _drawn(generator: np.random.Generator, layers: Sequence[Shape]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weights = [generator.standard_normal((outputs, inputs)) * (2 / inputs) ** 0.5 for inputs, outputs in layers]
    return np.concatenate([np.pad(weight, [(0, 0), (0, 1)]).ravel() for weight in weights])


def split(theta: Tensor, layers: Sequence[Shape]) -> list[Tensor]:
    """The matrices W of the layers, each (R, o, i + 1), of theta (R, D)."""
    ends = accumulate((inputs + 1) * outputs for inputs, outputs in layers)
    parts = [theta[:, start:end] for start, end in pairwise((0, *ends))]
    return [part.reshape(len(theta), outputs, -1) for part, (_, outputs) in zip(parts, layers, strict=True)]


def with_ones(values: Tensor) -> Tensor:
    """Inputs (R, K, i) with a last input of 1 for the biases, (R, K, i + 1)."""
    return torch.cat([values, torch.ones_like(values[..., :1])], dim=-1)


def inputs_of(weights: Sequence[Tensor], inputs: Tensor) -> list[Tensor]:
    """The inputs of each layer, with a last 1, given those of the first layer; and the outputs of the last layer."""
    reached = [inputs]
    for place, weight in enumerate(weights):
        outputs = outputs_of(reached[-1], weight)
        reached.append(outputs if place + 1 == len(weights) else with_ones(outputs.clamp_(min=0)))
    return reached


def errors_of(weights: Sequence[Tensor], inputs: Sequence[Tensor], error: Tensor) -> list[Tensor]:
    """The derivatives of the loss with respect to each layer's outputs, given those of the last layer."""
    errors = [error]
    for weight, reached in zip(weights[:0:-1], inputs[:0:-1], strict=True):
        back = product(errors[-1], weight[..., :-1])
        errors.append(back.mul_(reached[..., :-1] > 0))
    return errors[::-1]
