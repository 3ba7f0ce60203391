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
    """Mean of the N - f values nearest to a centre, per coordinate; of two equally near, the lower is taken.

    ``ordered`` (..., N, D) is sorted over N, ``centre`` is (..., D); returns (..., D). The nearest values are
    consecutive, so the s-th smallest is left out exactly if the (s + N - f)-th is nearer, for each s < f.
    """
    kept = ordered.shape[-2] - f
    middle = centre.unsqueeze(-2)
    smallest, largest = ordered[..., :f, :], ordered[..., kept:, :]
    upper = middle - smallest > largest - middle  # false for NaN, which is sorted last and so is never taken
    # The core is always taken; each edge value is added or not, never added and subtracted again.
    core = ordered[..., f:kept, :].sum(dim=-2)
    edges = torch.where(upper, largest, smallest).sum(dim=-2)
    return (core + edges) / kept
