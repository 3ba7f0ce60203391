"""The decoder of DRACO's repetition code (Chen et al., 1803.09877): a majority vote within each group of devices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from byzcode.allocation import repetition
from byzcode.coding.decoder import Decode, Decoded, Decoder
from byzcode.kernels.order import sort_devices
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Two messages agree if no entry differs by more than eps^0.6 (4e-10 in double precision, 7e-5 in single) of the
#: largest entry: this tolerates sums in another order, and a lie nearer than that does no harm.
AGREEMENT = 0.6


def prepare(devices: int, subsets: int, redundancy: int) -> Decode:
    """The vote for one size: the vector on which most devices of a group agree, averaged over the groups.

    Messages (R, N, D) to the gradient (R, D). Cost: N log N D. If a group has a strict majority, its coordinate-wise
    median is the vector of this majority, whatever the others send (infinities and NaN too). Therefore the decoder
    takes the median and counts the devices that agree with it. Exact among s liars on any devices,
    s = (size of the smallest group - 1) // 2. Messages with NaN are erased: they have no vote. So beside e absent
    devices s = (size of the smallest group - 1 - e) // 2. With more liars, a group without a majority fails the run; a
    majority of colluding liars in a group is not noticed.
    """
    group = repetition.groups_of(devices, subsets, redundancy)
    sizes = np.bincount(group)
    members = [np.flatnonzero(sizes[group] == size).reshape(-1, size) for size in np.unique(sizes)]  # at most two

    @cache
    def members_on(device: torch.device) -> list[Tensor]:
        return [torch.from_numpy(index).to(device) for index in members]

    def decode(messages: Tensor) -> Decoded:
        votes = [_vote(messages[:, index]) for index in members_on(messages.device)]
        failed = torch.cat([failed for _, failed in votes], dim=-1).any(dim=-1)
        gradient = torch.cat([vector for vector, _ in votes], dim=-2).mean(dim=-2)
        return Decoded(gradient.masked_fill(failed.unsqueeze(-1), 0.0), failed)

    return decode


def most_liars(devices: int, subsets: int, redundancy: int) -> int:
    """The largest s below half of the size of the smallest group."""
    return (devices // (subsets // redundancy) - 1) // 2


def erasing(absent: int, devices: int, subsets: int, redundancy: int) -> int:
    """The largest s below half of what is left of the smallest group if all absent devices are in it."""
    return (devices // (subsets // redundancy) - absent - 1) // 2


def _vote(messages: Tensor) -> tuple[Tensor, Tensor]:
    """The vector of each group's majority, and whether a majority is lacking: (..., n, D) to (..., D) and (...)."""
    erased = messages.isnan().any(dim=-1, keepdim=True)
    messages, voters = messages.masked_fill(erased, torch.nan), (~erased).sum(dim=(-2, -1))
    middle = ((voters - 1).clamp(min=0) // 2)[..., None, None].expand(*messages.shape[:-2], 1, messages.shape[-1])
    candidate = sort_devices(messages).gather(-2, middle).squeeze(-2)
    far = (messages - candidate.unsqueeze(-2)).abs().amax(dim=-1)
    near = far <= torch.finfo(messages.dtype).eps ** AGREEMENT * candidate.abs().amax(dim=-1, keepdim=True)
    return candidate, near.sum(dim=-1) <= voters // 2


def redundancies(devices: int, subsets: int) -> Sequence[int]:
    """The divisors of M, because groups hold equal parts of the subsets."""
    small = [size for size in range(1, math.isqrt(subsets) + 1) if subsets % size == 0]
    return sorted({*small, *(subsets // size for size in small)})


ENTRY = Decoder(prepare, most_liars, repetition.refuses, redundancies, erasing)
