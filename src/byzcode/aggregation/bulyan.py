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

    Shapes: (..., N, D) to (..., D). Cost: N^2 D, and N - 2 f passes over N^2 distances (sorts on a GPU). If n messages
    are left, a score counts the n - f - 2 nearest of them, and at least one. Scores are equal, for example, for two
    messages nearest to each other if one neighbour counts. Of equal scores, the message that is first in lexicographic
    order of coordinates is chosen, so the order of the devices does not matter. Requires N >= 4 f + 3; liars may send
    infinities and NaN.
    """
    if f == 0:
        return messages.mean(dim=-2)
    messages = take_devices(messages, by_value(messages))  # sorted, so that the first of equal scores is chosen
    distances = squared_distances(centred(messages)[0])
    if messages.device.type == "cpu":
        matrices = distances.numpy().reshape(-1, *distances.shape[-2:])
        chosen = torch.from_numpy(np.array([_chosen(matrix, f) for matrix in matrices], dtype=np.int64))
        chosen = chosen.view(*messages.shape[:-2], messages.shape[-2] - 2 * f)
    else:
        chosen = _chosen_on_gpu(distances, f)
    return mean_near_median(take_devices(messages, chosen), 2 * f)


def _chosen(distances: NDArray[np.floating], f: int) -> NDArray[np.intp]:
    """The devices that Krum chooses one by one from squared distances (N, N), in ascending order.

    Each column of ``near`` contains the distances that a score counts, from the nearest to the farthest, and 0
    elsewhere. A score is summed in this order, so equal messages get equal sums. When a device is chosen, each column
    drops it, or, if it does not count there, drops the farthest that does. So one fewer counts, and no column is sorted
    again.
    """
    devices = len(distances)
    distances = distances.copy()
    np.fill_diagonal(distances, np.inf)
    order = distances.argsort(axis=0)
    place = order.argsort(axis=0)  # the rank of each device in each column
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
        else:  # at least one must count: the nearest that is left
            near[:] = 0
            nearest = left[order].argmax(axis=0)
            near[0] = ordered[nearest, every]
    return np.flatnonzero(~left)


def _chosen_on_gpu(distances: Tensor, f: int) -> Tensor:
    """The same for (..., N, N), as (..., N - 2 f), without waiting for the GPU."""
    devices = distances.shape[-1]
    most = torch.finfo(distances.dtype).max
    taken = torch.zeros(distances.shape[:-1], dtype=torch.bool, device=distances.device)
    for number in range(devices - 2 * f):
        # Messages that were taken are infinitely far from all others, so the nearest are among those that are left.
        left = distances.masked_fill(taken.unsqueeze(-1) | taken.unsqueeze(-2), torch.inf)
        best = scores(left, min(f + number, devices - 3), "n-f-2").clamp(max=most).masked_fill(taken, torch.inf)
        taken = taken.scatter(-1, best.argmin(dim=-1, keepdim=True), value=True)
    return taken.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[..., : devices - 2 * f]


ENTRY = Rule(bulyan, quarter, title="Bulyan")
