"""What the engine asks of a problem. A new problem needs these methods and a line in ``PROBLEMS``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.kernels.gather import Code


class Problem(Protocol):
    """R problems of one shape, one a seed. ``forward`` does the work that loss and gradients share."""

    smoothness: Tensor  # L, (R,)
    strong_convexity: Tensor  # mu, (R,); 0 where F is not strongly convex
    optimum: Tensor  # (R, D)

    def joined(self, others: Sequence[Any]) -> Problem:
        """These runs and those of other problems of the same shape."""

    def start(self) -> Tensor:
        """The first iterate, (R, D)."""

    def forward(self, theta: Tensor) -> Any:
        """What the methods below need of theta (R, D)."""

    def loss(self, forward: Any) -> Tensor:
        """F, (R,)."""

    def gradient(self, forward: Any) -> Tensor:
        """The gradient of F, (R, D)."""

    def excess_loss(self, forward: Any) -> Tensor:
        """F(theta) - min F, (R,)."""

    def heterogeneity(self, forward: Any, gradient: Tensor) -> Tensor:
        """The root mean squared distance of the gradients of the subsets from that of F (betahat), (R,)."""

    def largest_heterogeneity(self, forward: Any, gradient: Tensor) -> Tensor:
        """The largest distance of the gradient of a subset from that of F, (R,)."""

    def relabelled(self, forward: Any) -> Any:
        """What ``forward`` would be had every label the other sign (or the class opposite to its own)."""

    def coded_gradients(self, forward: Any, code: Code) -> Tensor:
        """The messages of honest devices, (R, N, D)."""
