"""Logistic regression with a ridge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from byzcode.kernels.gather import Code, coded_rows
from byzcode.kernels.product import times
from byzcode.lazy import torch
from byzcode.problems.problem import ProblemKind, Sizes
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

Count = Annotated[int, Field(ge=1, le=10**9)]


class Forward(NamedTuple):
    """The margins y <z, theta>, (R, M), and theta, (R, D)."""

    margin: Tensor
    theta: Tensor


@dataclass(frozen=True, eq=False)
class LogisticRegression:
    """R problems: f_k = log(1 + exp(-<z_k, theta>)) + ridge ||theta||^2 / 2, the label being in ``signed`` z_k."""

    signed: Tensor
    strong_convexity: Tensor
    optimum: Tensor
    smoothness: Tensor

    @cached_property
    def _least(self) -> Tensor:
        """F at the optimum, (R,)."""
        return self.loss(self.forward(self.optimum))

    def start(self) -> Tensor:
        """theta^0 = 0, (R, D)."""
        return torch.zeros_like(self.optimum)

    def forward(self, theta: Tensor) -> Forward:
        """Margins and theta."""
        return Forward(times(self.signed, theta), theta)

    def loss(self, forward: Forward) -> Tensor:
        """F, (R,)."""
        square = forward.theta.square().sum(dim=-1)
        return _by_run(torch.nn.functional.softplus, -forward.margin).mean(dim=-1) + self.strong_convexity * square / 2

    def gradient(self, forward: Forward) -> Tensor:
        """The gradient of F, (R, D)."""
        slope = -_by_run(torch.sigmoid, -forward.margin) / forward.margin.shape[-1]
        return times(self.signed.mT, slope) + self.strong_convexity.unsqueeze(-1) * forward.theta

    def excess_loss(self, forward: Forward) -> Tensor:
        """F(theta) - min F, (R,)."""
        return (self.loss(forward) - self._least).clamp(min=0)

    def heterogeneity(self, forward: Forward, gradient: Tensor) -> Tensor:
        """The root mean squared distance of the gradients of the subsets from that of F, (R,)."""
        return self._squares(forward, gradient).mean(dim=-1).sqrt()

    def largest_heterogeneity(self, forward: Forward, gradient: Tensor) -> Tensor:
        """The largest of these distances, (R,)."""
        return self._squares(forward, gradient).amax(dim=-1).sqrt()

    def _squares(self, forward: Forward, gradient: Tensor) -> Tensor:
        own = -_by_run(torch.sigmoid, -forward.margin).unsqueeze(-1) * self.signed
        common = gradient - self.strong_convexity.unsqueeze(-1) * forward.theta
        return (own - common.unsqueeze(-2)).square().sum(dim=-1)

    def relabelled(self, forward: Forward) -> Forward:
        """As if each label were the other class."""
        return Forward(-forward.margin, forward.theta)

    def coded_gradients(self, forward: Forward, code: Code) -> Tensor:
        """What honest devices send, (R, N, D)."""
        ridge = (self.strong_convexity.unsqueeze(-1) * forward.theta).unsqueeze(-2)
        weight = code.settled[1].sum(dim=-1, keepdim=True)
        return coded_rows(self.signed, -_by_run(torch.sigmoid, -forward.margin), code) + weight * ridge


def _by_run(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """A function of each entry, (R, M), one run after the other: torch computes the last few of an array otherwise."""
    return torch.stack([function(row) for row in values.unbind()])


def logistic_regression(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    subsets: Annotated[Count, Field(description="M, the number of samples.")] = 1000,
    dimension: Annotated[Count, Field(description="D, the number of parameters.")] = 100,
    ridge: Annotated[float, Field(gt=0, le=1e9, description="The strong convexity.")] = 0.1,
) -> LogisticRegression:
    """Two classes of normal points on the two sides of a random plane, with a ridge."""
    drawn = [_draw(seed, subsets, dimension) for seed in seeds]
    solved = [(signed, np.float64(ridge), *_solved(signed, ridge)) for signed in drawn]
    tensors = [torch.from_numpy(np.stack(parts)) for parts in zip(*solved, strict=True)]
    return LogisticRegression(*(tensor.to(device=device, dtype=getattr(torch, dtype)) for tensor in tensors))


def _draw(seed: int, subsets: int, dimension: int) -> NDArray[np.float64]:
    generator = Stream(seed, "logistic_regression").at(0)
    features, plane = generator.standard_normal((subsets, dimension)), generator.standard_normal(dimension)
    noise = generator.standard_normal(subsets)
    return features * np.where(features @ plane + noise > 0, 1.0, -1.0)[:, None]


def _solved(signed: NDArray[np.float64], ridge: float) -> tuple[NDArray[np.float64], np.float64]:
    """The optimum (D,), by Newton's method, and the smoothness."""
    rows, dimension = signed.shape
    theta = np.zeros(dimension)
    for _ in range(50):
        chance = 1 / (1 + np.exp(signed @ theta))
        gradient = ridge * theta - signed.T @ chance / rows
        hessian = (signed.T * (chance * (1 - chance))) @ signed / rows + ridge * np.eye(dimension)
        theta = theta - np.linalg.solve(hessian, gradient)
    return theta, np.float64(np.linalg.norm(signed, 2) ** 2 / (4 * rows) + ridge)


def _sizes(*, subsets: int, dimension: int, **_: Any) -> Sizes:
    features = subsets * dimension
    return Sizes(subsets, samples=subsets, dimension=dimension, data=features, memory=4 * (features + subsets))


ENTRY = ProblemKind(logistic_regression, _sizes)
