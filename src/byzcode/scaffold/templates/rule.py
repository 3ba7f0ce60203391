"""The mid-point of the central values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.aggregation.rule import Rule, minority
from byzcode.kernels.order import sort_devices

if TYPE_CHECKING:
    from torch import Tensor


def example(messages: Tensor, f: int) -> Tensor:
    """The mid-point of the least and the greatest value of a coordinate, without the f least and the f greatest.

    Shapes: (..., N, D) to (..., D). Cost: N log N D. Robustness: kappa = N - f - 1, because the result lies between the
    least and the greatest of the N - f honest values.
    """
    ordered = sort_devices(messages)
    low, high = ordered[..., f, :], ordered[..., messages.shape[-2] - f - 1, :]
    return low / 2 + high / 2  # not their sum, which may overflow


def kappa(devices: int, f: int) -> float:
    """The farthest of H = N - f values is at most sqrt(H - 1) standard deviations from their mean."""
    return devices - f - 1


ENTRY = Rule(example, minority, kappa=kappa, title="example")
