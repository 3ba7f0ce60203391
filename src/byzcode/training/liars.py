"""Which devices are Byzantine in an iteration: drawn, or chosen by what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from byzcode.coding import VOTES
from byzcode.coding.harm import most_harmful
from byzcode.coding.vote import copies_in
from byzcode.lazy import torch
from byzcode.randomness import Orders
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec

if TYPE_CHECKING:
    from torch import Tensor


class Drawn:
    """Liars that are drawn for each seed, in each iteration or once."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int], device: torch.device) -> None:
        redrawn = spec.byzantine.identities == "redrawn"
        self._orders = Orders(seeds, spec.devices, "byzantine", redrawn=redrawn, device=device, first=spec.f)
        self._vectors = spec.vectors

    def rows(self, iteration: int) -> tuple[Tensor, Tensor]:
        """The vectors of liars, (R, f l), and of honest devices, (R, (N - f) l), as row numbers."""
        lying, honest = self._orders.parts(iteration)
        return rows_of(lying, self._vectors), rows_of(honest, self._vectors)


class Chosen:
    """The same liars in all seeds and iterations: those of :func:`byzcode.coding.harm.most_harmful`."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int], assigned: NDArray[np.int32], device: torch.device) -> None:
        holders, vote = copies_in(assigned) // spec.vectors, VOTES[METHODS[spec.method].vote]
        order = torch.from_numpy(most_harmful(holders, spec.devices, spec.f, vote.wins(spec.copies))).to(device)
        rows = rows_of(order, spec.vectors).expand(len(seeds), -1)
        lying = spec.f * spec.vectors
        self._parts = rows[:, :lying].contiguous(), rows[:, lying:].contiguous()

    def rows(self, iteration: int) -> tuple[Tensor, Tensor]:
        """As those of :class:`Drawn`."""
        return self._parts


def liars_of(spec: RunSpec, seeds: Sequence[int], assigned: NDArray[np.int32], device: torch.device) -> Drawn | Chosen:
    """The liars of a run; ``assigned`` (R, N l, S / l) are the subsets behind each vector that is sent."""
    if spec.byzantine.identities == "chosen":
        return Chosen(spec, seeds, assigned, device)
    return Drawn(spec, seeds, device)


def rows_of(devices: Tensor, vectors: int) -> Tensor:
    """The rows (..., K l) of the l vectors that each of some devices (..., K) sends."""
    if vectors == 1:
        return devices
    return (devices.unsqueeze(-1) * vectors + torch.arange(vectors, device=devices.device)).flatten(-2)
