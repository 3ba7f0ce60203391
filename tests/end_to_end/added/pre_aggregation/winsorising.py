"""Winsorising: extreme values are replaced by the nearest that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.kernels.order import sort_devices
from byzcode.lazy import torch
from byzcode.pre_aggregation.pre_aggregator import PreAggregator

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def winsorising(messages: Tensor, f: int, draws: Draws) -> Tensor:
    """The f least values of a coordinate become the next, and so do the f greatest.

    Shapes: (R, N, D) to (R, N, D). Cost: N log N D. What is left lies in the range of the honest values.
    """
    ordered = sort_devices(messages)
    low, high = ordered[..., f, :].unsqueeze(-2), ordered[..., messages.shape[-2] - f - 1, :].unsqueeze(-2)
    return torch.where(messages.isnan(), high, messages.clamp(low, high))


ENTRY = PreAggregator(winsorising, title="Winsorising")
