"""Nearest neighbour mixing, NNM (Allouah et al., 2023, 2302.01772)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.kernels.distances import centred, largest, surely_finite
from byzcode.kernels.nearest import mean_of, nearest
from byzcode.lazy import torch
from byzcode.pre_aggregation.pre_aggregator import PreAggregator

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def nnm(messages: Tensor, f: int, draws: Draws) -> Tensor:
    """Each message becomes the mean of the N - f messages nearest to it; ties are settled by values.

    Shapes: (R, N, D) to (R, N, D). Cost: N^2 D. A message is among those nearest to itself. Of messages equally near,
    those that are first in lexicographic order of coordinates are taken, so the order of the devices does not matter. A
    message that is not finite stays unchanged and enters no mean of N - f finite messages. Robustness if a rule of
    constant kappa follows: 8 f / (N - f) (kappa + 1), f < N/2.
    """
    kept = messages.shape[-2] - f
    away, origin = centred(messages)  # so that rounding errors of a mean scale with the spread
    taken = nearest(away, kept)
    if surely_finite(away):
        return mean_of(taken, away, origin, kept)
    finite = largest(away).isfinite()
    mixed = mean_of(taken, torch.where(finite, away, 0.0), origin, kept)  # because 0 times inf is NaN
    return torch.where(finite, mixed, messages)


def kappa(kappa: float, devices: int, f: int) -> float:
    """The constant if a rule of constant ``kappa`` follows: 8 f / (N - f) (kappa + 1) (2302.01772)."""
    return 8 * f / (devices - f) * (kappa + 1)


ENTRY = PreAggregator(nnm, kappa=kappa, title="NNM")
