"""Clipping of norms: with a fixed radius, or adaptive robust clipping, ARC (Allouah et al., 2024, 2405.14432)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.kernels.distances import clipped, norms
from byzcode.kernels.order import sort_devices
from byzcode.pre_aggregation.pre_aggregator import PreAggregator

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws

Radius = Annotated[float | None, Field(gt=0, description="The largest norm after clipping; adaptive if left out.")]


def clipping(messages: Tensor, f: int, draws: Draws, *, radius: Radius = None) -> Tensor:
    """Each message is scaled down to a norm of at most ``radius``: ``m_i min(1, radius / ||m_i||)``.

    Without a radius, ARC clips the k = floor(2 (f / N) (N - f)) largest norms to the largest of the others.
    Shapes: (R, N, D) to (R, N, D). Cost: N D. A message that is not finite becomes 0. Each liar spoils only its own
    message.
    """
    norm = norms(messages)
    if radius is not None:
        return clipped(messages, norm, radius)
    devices = messages.shape[-2]
    unclipped = devices - 2 * f * (devices - f) // devices
    return clipped(messages, norm, sort_devices(norm.unsqueeze(-1))[..., unclipped - 1, :])


ENTRY = PreAggregator(clipping, lacks=frozenset({"translation"}))
