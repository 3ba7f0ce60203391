"""Who lies in each iteration: devices drawn anew, the same ones, or those chosen by what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.attacks.chosen import centred, chosen
from byzcode.coding import VOTES
from byzcode.coding.harm import most_harmful
from byzcode.coding.vote import copies_in
from byzcode.kernels.product import product
from byzcode.lazy import torch
from byzcode.randomness import Orders
from byzcode.specs.methods import METHODS
from byzcode.training.batch import Batch
from byzcode.training.devices import Codes

if TYPE_CHECKING:
    from torch import Tensor


class Liars:
    """The vectors of the f liars of each run in each iteration, and those of the other devices.

    Chosen liars know the allocation, and in each iteration who holds which of its rows: where rows are permuted (LAD),
    those devices lie that hold the chosen rows. Where the server votes, they are those of
    :func:`byzcode.coding.harm.most_harmful`, else those of :func:`byzcode.attacks.chosen.chosen`.
    """

    def __init__(self, batch: Batch, device: torch.device) -> None:
        spec = batch.spec
        self._f, self._vectors, self._chosen = spec.f, spec.vectors, spec.byzantine.identities == "chosen"
        if self._chosen:
            self._rows = (_winning_votes(batch) if spec.votes else _unbalancing(batch)).to(device)
        else:
            redrawn = spec.byzantine.identities == "redrawn"
            self._orders = Orders(batch.seeds, spec.devices, "byzantine", redrawn=redrawn, device=device, first=self._f)

    def at(self, iteration: int, codes: Codes) -> tuple[Tensor, Tensor]:
        """The vectors of liars, (R, f l), and of honest devices, (R, (N - f) l), as row numbers.

        A device sends l vectors, one unless the server votes. The codes of the iteration decide who holds what.
        """
        if not self._chosen:
            lying, honest = self._orders.parts(iteration)
        else:
            rows, held = self._rows, codes.parts[0].devices  # device i has row held[i]
            devices = rows if held is None else held.argsort(dim=-1).gather(-1, rows)
            lying, honest = devices[:, : self._f], devices[:, self._f :]
        return rows_of(lying, self._vectors), rows_of(honest, self._vectors)


def rows_of(devices: Tensor, vectors: int) -> Tensor:
    """The rows (..., K l) of the l vectors that each of some devices (..., K) sends."""
    if vectors == 1:
        return devices
    return (devices.unsqueeze(-1) * vectors + torch.arange(vectors, device=devices.device)).flatten(-2)


def _winning_votes(batch: Batch) -> Tensor:
    """The devices in an order, (R, N), in which the first f win most votes; the same in all runs."""
    spec, vote = batch.spec, VOTES[METHODS[batch.spec.method].vote]
    holders = copies_in(batch.assigned) // spec.vectors
    order = torch.from_numpy(most_harmful(holders, spec.devices, spec.f, vote.wins(spec.copies)))
    return order.expand(len(batch.seeds), -1).contiguous()


def _unbalancing(batch: Batch) -> Tensor:
    """The rows of each allocation in an order, (R, N), in which the first f are the chosen ones."""
    orders = []
    for assigned, weights in zip(batch.assigned, batch.weights, strict=True):
        around = torch.from_numpy(centred(_matrix(assigned, weights, batch.spec.subsets)))
        orders.append(chosen(product(around, around.mT).numpy(), batch.spec.f))
    return torch.from_numpy(np.stack(orders))


def _matrix(assigned: NDArray[np.int32], weights: NDArray[Any], subsets: int) -> NDArray[Any]:
    """The weights (N, M) of lists of subsets (N, S) with their weights."""
    matrix = np.zeros((len(assigned), subsets), dtype=weights.dtype)
    device, slot = np.nonzero(assigned != EMPTY)
    matrix[device, assigned[device, slot]] = weights[device, slot]
    return matrix
