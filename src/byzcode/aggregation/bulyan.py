"""Bulyan (El Mhamdi et al., 2018, 1802.07927)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from byzcode.aggregation.krum import scores
from byzcode.aggregation.rule import Rule, quarter
from byzcode.kernels.distances import centred, squared_distances
from byzcode.kernels.order import mean_near_median, take_devices
from byzcode.kernels.select import by_value
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def bulyan(messages: Tensor, f: int) -> Tensor:
    """Krum chooses N - 2 f messages one by one; per coordinate, the mean of the N - 4 f of them nearest their median.

    Shapes: (..., N, D) to (..., D). Cost: N^2 D, and N - 2 f passes over N^2 distances, on a GPU sorts. A score
    counts the n - f - 2 nearest of the n messages that are left, at least one. Of messages with equal scores (two that
    are nearest to each other, where one neighbour counts), that is chosen whose first coordinate is less, where it is
    equal whose second is less, and so on: the order of the devices does not matter. Bears N >= 4 f + 3, and liars may
    send infinities and NaN.
    """
    if f == 0:
        return messages.mean(dim=-2)
    messages = take_devices(messages, by_value(messages))  # of equals the first
    distances = squared_distances(centred(messages)[0])
    if messages.device.type == "cpu":
        each = distances.numpy().reshape(-1, *distances.shape[-2:])
        chosen = torch.from_numpy(np.array([_chosen(one, f) for one in each], dtype=np.int64))
        chosen = chosen.view(*messages.shape[:-2], messages.shape[-2] - 2 * f)
    else:
        chosen = _chosen_on_gpu(distances, f)
    return mean_near_median(take_devices(messages, chosen), 2 * f)


def _chosen(distances: NDArray[np.floating], f: int) -> NDArray[np.intp]:
    """The devices that Krum chooses one by one of (N, N), in their own order.

    ``near`` has the distances that a score counts, else 0, in each column from the nearest to the farthest: a score is
    a sum in that order, which is that of equal messages too. Whoever is chosen leaves each column, or where it does not
    count there, the farthest that does: so one fewer counts, and no column is sorted again.
    """
    devices = len(distances)
    distances = distances.copy()
    np.fill_diagonal(distances, np.inf)
    order = distances.argsort(axis=0)
    place = order.argsort(axis=0)  # of each device in each column
    ordered = np.take_along_axis(distances, order, axis=0)
    every, left = np.arange(devices), np.ones(devices, dtype=np.bool_)
    counted = every[:, None] < np.full(devices, max(devices - f - 2, 1))
    near = np.where(counted, ordered, 0.0)
    for number in range(devices - 2 * f):
        score = np.add.reduce(near, axis=0)
        best = int(np.where(left, np.minimum(score, np.finfo(score.dtype).max), np.inf).argmin())
        left[best] = False
        if devices - f - 3 - number >= 1:
            last = devices - 1 - counted[::-1].argmax(axis=0)
            gone = np.where(counted[place[best], every], place[best], last)
            counted[gone, every], near[gone, every] = False, 0
        else:  # still one, the nearest that is left
            near[:] = 0
            nearest = left[order].argmax(axis=0)
            near[0] = ordered[nearest, every]
    return np.flatnonzero(~left)


def _chosen_on_gpu(distances: Tensor, f: int) -> Tensor:
    """The same of (..., N, N), as (..., N - 2 f), without a question to the GPU."""
    devices = distances.shape[-1]
    most = torch.finfo(distances.dtype).max
    taken = torch.zeros(distances.shape[:-1], dtype=torch.bool, device=distances.device)
    for number in range(devices - 2 * f):
        # The taken ones are infinitely far from all others, so the nearest are among those that are left.
        left = distances.masked_fill(taken.unsqueeze(-1) | taken.unsqueeze(-2), torch.inf)
        best = scores(left, min(f + number, devices - 3), "n-f-2").clamp(max=most).masked_fill(taken, torch.inf)
        taken = taken.scatter(-1, best.argmin(dim=-1, keepdim=True), value=True)
    return taken.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[..., : devices - 2 * f]


ENTRY = Rule(bulyan, quarter, title="Bulyan")
