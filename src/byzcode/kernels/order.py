"""Order statistics over the devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def sort_devices(messages: Tensor) -> Tensor:
    """Each coordinate of (..., N, D) sorted over the devices, NaN last.

    On the CPU numpy's SIMD sort, 6 to 14 times faster than torch's at float64; on a GPU torch's.
    """
    if messages.device.type == "cpu":
        return torch.from_numpy(np.sort(messages.detach().numpy(), axis=-2))
    return messages.sort(dim=-2).values


def mean_of_nearest(ordered: Tensor, centre: Tensor, f: int) -> Tensor:
    """Mean of the N - f values nearest to a centre, per coordinate.

    ``ordered`` (..., N, D) is sorted over N, ``centre`` is (..., D); returns (..., D). The nearest values are one of
    the f + 1 windows of N - f consecutive sorted values: the one whose farther end is nearest. Ties go to the lower.
    """
    kept = ordered.shape[-2] - f
    below = centre.unsqueeze(-2) - ordered[..., : f + 1, :]
    above = ordered[..., kept - 1 :, :] - centre.unsqueeze(-2)
    farthest = torch.maximum(below, above).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
    start = farthest.argmin(dim=-2, keepdim=True)  # (..., 1, D), the first of equals
    # The core is in every window; each edge value is added or left out, never added and subtracted again.
    core = ordered[..., f:kept, :].sum(dim=-2)
    edge = torch.arange(f, device=ordered.device).unsqueeze(-1)
    low = torch.where(edge >= start, ordered[..., :f, :], 0.0).sum(dim=-2)
    high = torch.where(edge < start, ordered[..., kept:, :], 0.0).sum(dim=-2)
    return (core + low + high) / kept
