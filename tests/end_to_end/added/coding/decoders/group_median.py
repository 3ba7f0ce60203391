"""The median of each group of the repetition code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from byzcode.allocation import repetition
from byzcode.coding.decoder import Decode, Decoded, Decoder
from byzcode.coding.decoders import repetition as repetition_code
from byzcode.kernels.order import sort_devices
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def prepare(devices: int, subsets: int, redundancy: int) -> Decode:
    """The mean over the groups of their coordinate-wise lower medians. It never fails."""
    group = repetition.groups_of(devices, subsets, redundancy)
    members = [np.flatnonzero(group == number) for number in np.unique(group)]

    def decode(messages: Tensor) -> Decoded:
        medians = [
            sort_devices(messages[:, int(index[0]) : int(index[-1]) + 1])[:, (len(index) - 1) // 2] for index in members
        ]
        gradient = torch.stack(medians, dim=-2).mean(dim=-2)
        return Decoded(gradient, torch.zeros_like(gradient[:, 0], dtype=torch.bool))

    return decode


def most_liars(devices: int, subsets: int, redundancy: int) -> int:
    """Half of the smallest group, less than that."""
    return (devices // (subsets // redundancy) - 1) // 2


ENTRY = Decoder(prepare, most_liars, repetition.refuses, repetition_code.redundancies)
