"""The smallest entries of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def smallest(values: Tensor, k: int) -> Tensor:
    """True at the k smallest entries of each row of (..., D): exactly k, of equal ones the first.

    There may be infinities but no NaN. Cost: D a row. On the CPU numpy's SIMD partition, seven times faster than
    torch's selection at D = 1000; on a GPU torch's.
    """
    if values.device.type == "cpu":
        array = values.detach().numpy()
        edges = np.partition(array, k - 1, axis=-1)[..., k - 1 : k]
        taken = array <= edges
        if np.count_nonzero(taken) * taken.shape[-1] == taken.size * k:  # none is equal to the edge but the edge
            return torch.from_numpy(taken)
        edge = torch.from_numpy(edges)
    else:
        edge = values.kthvalue(k, dim=-1, keepdim=True).values
    below, level = values < edge, values == edge
    missing = k - below.sum(dim=-1, keepdim=True)
    return below | (level & (level.cumsum(dim=-1) <= missing))
