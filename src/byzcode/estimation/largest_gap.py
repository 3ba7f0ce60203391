"""The largest gap between sorted distances to the median."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.estimation.estimator import Estimator, most
from byzcode.kernels.distances import centred, norms
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def largest_gap(messages: Tensor) -> Tensor:
    """The distance of each message to the coordinate-wise median. Shapes: (R, N, D) to (R, N). Cost: N log N D."""
    away, _ = centred(messages)
    return norms(away)


def count(suspicions: Tensor) -> Tensor:
    """How many suspicions are above the largest gap, (R, N) to (R,); 0 unless it exceeds the range of all below it.

    A gap counts relative to the range of all suspicions below it, so that lies of different sizes are not told from
    each other. It is looked for among the upper half, so a majority lies below it.
    """
    devices, kind = suspicions.shape[-1], torch.finfo(suspicions.dtype)
    ordered = suspicions.clamp(max=kind.max).sort(dim=-1).values
    least = devices - most(devices)  # so many are below every gap
    below, above = ordered[..., least - 1 : -1], ordered[..., least:]
    if not above.shape[-1]:
        return torch.zeros_like(suspicions[..., 0], dtype=torch.int64)
    gap = (above - below) / (below - ordered[..., :1]).clamp(min=kind.tiny)
    largest, place = gap.max(dim=-1)
    return torch.where(largest > 1.0, devices - least - place, 0)


ENTRY = Estimator(largest_gap, count)
