"""F at an iterate. Each value is computed at most once, when it is first needed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from byzcode.kernels.distances import lengths
from byzcode.problems import Metric, Problem

if TYPE_CHECKING:
    from torch import Tensor


class Iterate:
    """theta (R, D) of an iteration, and the loss F and its gradients there."""

    def __init__(self, problem: Problem, theta: Tensor) -> None:
        self.problem, self.theta = problem, theta
        self._metrics: dict[str, Tensor] = {}

    @cached_property
    def forward(self) -> Any:
        """The intermediate result from which the problem computes the others."""
        return self.problem.forward(self.theta)

    @cached_property
    def loss(self) -> Tensor:
        """F, (R,)."""
        return self.problem.loss(self.forward)

    @cached_property
    def gradient(self) -> Tensor:
        """The gradient of F, (R, D)."""
        return self.problem.gradient(self.forward)

    @cached_property
    def gradient_norm(self) -> Tensor:
        """The norm of the gradient, (R,)."""
        return lengths(self.gradient)

    @cached_property
    def heterogeneity(self) -> Tensor:
        """The root mean squared distance of the subsets' gradients from that of F, (R,)."""
        return self.problem.heterogeneity(self.forward, self.gradient)

    def metric(self, name: str, metric: Metric) -> Tensor:
        """A quantity of the problem alone, (R,)."""
        if name not in self._metrics:
            assert metric.measure is not None
            self._metrics[name] = metric.measure(self.problem, self.forward)
        return self._metrics[name]
