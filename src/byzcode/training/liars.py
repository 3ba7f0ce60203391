"""Who lies in each iteration: devices drawn anew, the same ones, or those chosen against the allocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.attacks.chosen import centred, chosen
from byzcode.kernels.product import product
from byzcode.lazy import torch
from byzcode.randomness import Orders
from byzcode.training.batch import Batch
from byzcode.training.devices import Codes

if TYPE_CHECKING:
    from torch import Tensor


class Liars:
    """The f liars of each run in each iteration, and the other devices.

    Chosen liars know the allocation, and in each iteration who holds which of its rows: where rows are permuted (LAD),
    those devices lie that hold the chosen rows.
    """

    def __init__(self, batch: Batch, device: torch.device) -> None:
        spec = batch.spec
        self._f, self._chosen = spec.f, spec.byzantine.identities == "chosen"
        if self._chosen:
            self._rows = _chosen_rows(batch).to(device)
        else:
            redrawn = spec.byzantine.identities == "redrawn"
            self._orders = Orders(batch.seeds, spec.devices, "byzantine", redrawn=redrawn, device=device, first=self._f)

    def at(self, iteration: int, codes: Codes) -> tuple[Tensor, Tensor]:
        """The liars (R, f) and the honest devices (R, N - f) of an iteration, whose codes decide who holds what."""
        if not self._chosen:
            return self._orders.parts(iteration)
        rows, held = self._rows, codes.parts[0].devices  # device i has row held[i]
        devices = rows if held is None else held.argsort(dim=-1).gather(-1, rows)
        return devices[:, : self._f], devices[:, self._f :]


def _chosen_rows(batch: Batch) -> Tensor:
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
