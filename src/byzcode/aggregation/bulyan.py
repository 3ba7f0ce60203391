"""Bulyan (El Mhamdi et al., 2018, 1802.07927)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from byzcode.aggregation.krum import scores
from byzcode.kernels.distances import centred, squared_distances
from byzcode.kernels.order import mean_near_median, take_devices
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def bulyan(messages: Tensor, f: int) -> Tensor:
    """Krum chooses N - 2 f messages one by one; per coordinate, the mean of the N - 4 f of them nearest their median.

    Shapes: (..., N, D) to (..., D). Cost: N^2 D, and N - 2 f passes over N^2 distances, on a GPU sorts. A score
    counts the n - f - 2 nearest of the n messages that are left, at least one. Bears N >= 4 f + 3, and liars may send
    infinities and NaN.
    """
    if f == 0:
        return messages.mean(dim=-2)
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

    ``near`` has the distances that a score counts, else 0. Whoever is chosen leaves each row, or where it does not
    count there, the farthest that does: so one fewer counts, and no row is sorted again.
    """
    devices = len(distances)
    every, left, best = np.arange(devices), np.ones(devices, dtype=np.bool_), 0
    near = np.zeros_like(distances)
    for number in range(devices - 2 * f):
        others = max(devices - f - 2 - number, 1)
        if number == 0 or others == 1:
            among = np.where(left & left[:, None], distances, np.inf)
            counted = among.argpartition(others, axis=1)[:, : others + 1]  # itself too, which counts 0
            near[:] = 0
            np.put_along_axis(near, counted, np.take_along_axis(among, counted, 1), 1)
        else:
            gone = np.where(near[:, best] == distances[:, best], best, near.argmax(axis=1))
            near[every, gone] = 0
        best = int(np.where(left, near.sum(axis=1), np.inf).argmin())
        if not left[best]:  # all scores are infinite
            best = int(left.argmax())
        left[best] = False
    return np.flatnonzero(~left)


def _chosen_on_gpu(distances: Tensor, f: int) -> Tensor:
    """The same of (..., N, N), as (..., N - 2 f), without a question to the GPU."""
    devices = distances.shape[-1]
    taken = torch.zeros(distances.shape[:-1], dtype=torch.bool, device=distances.device)
    for number in range(devices - 2 * f):
        # The taken ones are infinitely far from all others, so the nearest are among those that are left.
        left = distances.masked_fill(taken.unsqueeze(-1) | taken.unsqueeze(-2), torch.inf)
        best = scores(left, min(f + number, devices - 3), "n-f-2").masked_fill(taken, torch.inf)
        taken = taken.scatter(-1, best.argmin(dim=-1, keepdim=True), value=True)
    return taken.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)[..., : devices - 2 * f]
