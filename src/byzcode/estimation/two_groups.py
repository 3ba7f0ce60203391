"""A mixture of two groups of distances to the median, split where they differ most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.estimation.estimator import Estimator, most
from byzcode.estimation.largest_gap import largest_gap
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: How many standard deviations within the groups their means must differ, so that there are two groups.
#: A uniform distribution split in half has sqrt(12) = 3.5.
APART = 4.0


def two_groups(messages: Tensor) -> Tensor:
    """The distance of each message to the coordinate-wise median. Shapes: (R, N, D) to (R, N). Cost: N log N D."""
    return largest_gap(messages)


def count(suspicions: Tensor) -> Tensor:
    """The size of the group with larger suspicions, (R, N) to (R,); 0 if there is a single group.

    The split of the sorted logarithms minimises the variance within both groups (Otsu, 1979), with a majority below
    it. There are two groups if their means differ by more than APART standard deviations within groups.
    """
    devices, kind = suspicions.shape[-1], torch.finfo(torch.float64)
    values = suspicions.double().clamp(min=kind.tiny, max=kind.max).log().sort(dim=-1).values
    least = devices - most(devices)
    if least == devices:
        return torch.zeros_like(suspicions[..., 0], dtype=torch.int64)
    values = values - values[..., :1]
    below = torch.arange(1, devices, device=values.device, dtype=values.dtype)
    sums, squares = values.cumsum(dim=-1), values.square().cumsum(dim=-1)
    low, high = sums[..., :-1] / below, (sums[..., -1:] - sums[..., :-1]) / (devices - below)
    within = (squares[..., -1:] - below * low.square() - (devices - below) * high.square()).clamp(min=0.0) / devices
    within, low, high = (each[..., least - 1 :] for each in (within, low, high))
    split = within.argmin(dim=-1, keepdim=True)
    within, low, high = (each.gather(-1, split).squeeze(-1) for each in (within, low, high))
    two = high - low > APART * within.sqrt()
    return torch.where(two, devices - least - split.squeeze(-1), 0)


ENTRY = Estimator(two_groups, count, title="two groups of distances")
