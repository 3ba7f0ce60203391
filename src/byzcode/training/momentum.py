"""Momentum of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


class Momentum:
    """The running mean m^t = beta m^(t-1) + (1 - beta) g^t of aggregates g^t, with m^(-1) = 0.

    The server steps along m^t. With beta = 0 it is the aggregate itself. The steps for a constant aggregate tend to
    those without momentum, so a step size means the same for every beta.
    """

    def __init__(self, beta: float) -> None:
        self._beta = beta
        self._mean: Tensor | None = None

    def of(self, aggregate: Tensor) -> Tensor:
        """The direction of the step, (R, D), after one more aggregate (R, D)."""
        if not self._beta:
            return aggregate
        before = torch.zeros_like(aggregate) if self._mean is None else self._mean
        self._mean = torch.lerp(aggregate, before, self._beta)
        return self._mean
