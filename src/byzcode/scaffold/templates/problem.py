"""The mean of points: each subset is one point, and its loss is half the squared distance from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from byzcode.kernels.gather import Code, coded_rows
from byzcode.lazy import torch
from byzcode.problems.problem import ProblemKind, Sizes
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

Count = Annotated[int, Field(ge=1, le=10**9)]


@dataclass(frozen=True, eq=False)
class Example:
    """R problems, one per seed: f_k = ||theta - p_k||^2 / 2 with ``points`` (R, M, D)."""

    points: Tensor

    @cached_property
    def optimum(self) -> Tensor:
        """The mean of the points, (R, D)."""
        return self.points.mean(dim=-2)

    @cached_property
    def smoothness(self) -> Tensor:
        """1, (R,)."""
        return self.points.new_ones(len(self.points))

    @property
    def strong_convexity(self) -> Tensor:
        """1, (R,)."""
        return self.smoothness

    def start(self) -> Tensor:
        """theta^0 = 0, (R, D)."""
        return torch.zeros_like(self.optimum)

    def forward(self, theta: Tensor) -> Tensor:
        """Theta - p_k, (R, M, D): the gradients of the subsets."""
        return theta.unsqueeze(-2) - self.points

    def loss(self, away: Tensor) -> Tensor:
        """F, (R,)."""
        return away.square().sum(dim=-1).mean(dim=-1) / 2

    def gradient(self, away: Tensor) -> Tensor:
        """The gradient of F, (R, D)."""
        return away.mean(dim=-2)

    def excess_loss(self, away: Tensor) -> Tensor:
        """F(theta) - min F, (R,)."""
        return self.gradient(away).square().sum(dim=-1) / 2

    def heterogeneity(self, away: Tensor, gradient: Tensor) -> Tensor:
        """The root mean squared distance of the gradients of the subsets from that of F, (R,)."""
        return (away - gradient.unsqueeze(-2)).square().sum(dim=-1).mean(dim=-1).sqrt()

    def largest_heterogeneity(self, away: Tensor, gradient: Tensor) -> Tensor:
        """The largest of these distances, (R,)."""
        return (away - gradient.unsqueeze(-2)).square().sum(dim=-1).amax(dim=-1).sqrt()

    def relabelled(self, away: Tensor) -> Tensor:
        """Theta + p_k, (R, M, D): as if each point were at the opposite place."""
        return away + 2 * self.points

    def coded_gradients(self, away: Tensor, code: Code) -> Tensor:
        """What honest devices send, (R, N, D)."""
        return coded_rows(away, torch.ones_like(away[..., 0]), code)


def example(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    subsets: Annotated[Count, Field(description="M, the number of points.")] = 1000,
    dimension: Annotated[Count, Field(description="D, the number of parameters.")] = 100,
    spread: Annotated[float, Field(ge=0, le=1e9, description="Standard deviation of the points.")] = 1.0,
) -> Example:
    """The mean of M normal points around a normal centre."""
    streams = [Stream(seed, "example") for seed in seeds]
    drawn = [stream.at(0).standard_normal((subsets + 1, dimension)) for stream in streams]
    points = torch.from_numpy(np.stack([each[0] + spread * each[1:] for each in drawn]))
    return Example(points.to(device=device, dtype=getattr(torch, dtype)))


def _sizes(*, subsets: int, dimension: int, **_: Any) -> Sizes:
    points = subsets * dimension
    return Sizes(subsets, samples=subsets, dimension=dimension, data=points, memory=4 * points)


ENTRY = ProblemKind(example, _sizes, title="example")
