"""The devices: honest ones send combinations of the gradients of the subsets that they hold in an iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.kernels.gather import Code
from byzcode.lazy import torch
from byzcode.randomness import Orders
from byzcode.training.iterate import Iterate

if TYPE_CHECKING:
    from torch import Tensor


#: What is permuted anew in each iteration: nothing, subsets and devices, or one of the two.
Assignment = Literal["fixed", "redrawn", "subsets_redrawn", "devices_redrawn"]

_PERMUTED: dict[Assignment, tuple[str, ...]] = {
    "fixed": (),
    "redrawn": ("devices", "subsets"),
    "subsets_redrawn": ("subsets",),
    "devices_redrawn": ("devices",),
}


class Devices:
    """N devices in each of R runs, with their subsets and weights.

    ``assigned`` and ``weights`` are (R, N, S). If the assignment is redrawn, each iteration has a fresh permutation of
    the subsets, of the devices, or of both, which are readings of LAD (2603.28780). A weight belongs to its slot,
    whatever subset the slot holds. With complex weights a message has 2 D numbers: first the real part, then the
    imaginary part. ``like`` has the precision and the compute device of the messages.
    """

    def __init__(
        self,
        like: Tensor,
        assigned: NDArray[np.int32],
        weights: NDArray[Any],
        seeds: Sequence[int],
        subsets: int,
        *,
        assignment: Assignment,
    ) -> None:
        parts = (weights.real, weights.imag) if np.iscomplexobj(weights) else (weights,)
        places = torch.from_numpy(np.where(assigned == EMPTY, 0, assigned).astype(np.int64)).to(like.device)
        self._codes = [Code(places, torch.from_numpy(np.ascontiguousarray(part)).to(like)) for part in parts]
        sizes = {"devices": assigned.shape[1], "subsets": subsets}
        self._orders = {
            kind: Orders(seeds, sizes[kind], f"assignment/{kind}", redrawn=True, device=like.device)
            for kind in _PERMUTED[assignment]
        }

    def codes(self, iteration: int) -> list[Code]:
        """The codes by which the devices combine gradients in an iteration: one, or two for complex weights."""
        if not self._orders:
            return self._codes
        orders = {kind: orders.at(iteration) for kind, orders in self._orders.items()}
        devices, names = orders.get("devices"), orders.get("subsets")
        return [Code(code.assigned, code.weight, devices, names) for code in self._codes]


def messages(at: Iterate, codes: Sequence[Code]) -> Tensor:
    """The messages of the devices if all are honest, (R, N, D) or (R, N, 2 D)."""
    return _messages(at, at.forward, codes)


def relabelled(at: Iterate, codes: Sequence[Code]) -> Tensor:
    """The messages of the devices if all labels are flipped (see :meth:`Problem.relabelled`)."""
    return _messages(at, at.problem.relabelled(at.forward), codes)


def _messages(at: Iterate, forward: Any, codes: Sequence[Code]) -> Tensor:
    parts = [at.problem.coded_gradients(forward, code) for code in codes]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
