"""What honest devices send: combinations of the gradients of the subsets that they hold in an iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.kernels.gather import Code
from byzcode.lazy import torch
from byzcode.problems import Problem
from byzcode.randomness import Orders

if TYPE_CHECKING:
    from torch import Tensor


#: What each iteration permutes anew: nothing, subsets and devices, or one of the two.
Assignment = Literal["fixed", "redrawn", "subsets_redrawn", "devices_redrawn"]

_PERMUTED: dict[Assignment, tuple[str, ...]] = {
    "fixed": (),
    "redrawn": ("devices", "subsets"),
    "subsets_redrawn": ("subsets",),
    "devices_redrawn": ("devices",),
}


class Devices:
    """N devices of R runs, with what they hold and how they weigh it.

    ``held`` and ``weights`` are (R, N, S). Where the assignment is redrawn, each iteration has a fresh permutation of
    the subsets, of the devices, or of both: readings of LAD (2603.28780). The weights move with the slots. Complex
    weights make messages of 2 D numbers: real part, imaginary part.
    """

    def __init__(
        self,
        problem: Problem,
        held: NDArray[np.int32],
        weights: NDArray[Any],
        seeds: Sequence[int],
        subsets: int,
        *,
        assignment: Assignment,
    ) -> None:
        self._problem = problem
        like = problem.start()
        parts = (weights.real, weights.imag) if np.iscomplexobj(weights) else (weights,)
        places = torch.from_numpy(np.where(held == EMPTY, 0, held).astype(np.int64)).to(like.device)
        self._codes = [Code(places, torch.from_numpy(np.ascontiguousarray(part)).to(like)) for part in parts]
        sizes = {"devices": held.shape[1], "subsets": subsets}
        self._orders = {
            what: Orders(seeds, sizes[what], f"assignment/{what}", redrawn=True, device=like.device)
            for what in _PERMUTED[assignment]
        }

    def codes(self, iteration: int) -> list[Code]:
        """Who sends which combination in an iteration: one code, or two where weights are complex."""
        if not self._orders:
            return self._codes
        orders = {what: orders.at(iteration) for what, orders in self._orders.items()}
        devices, names = orders.get("devices"), orders.get("subsets")
        return [Code(code.held, code.weight, devices, names) for code in self._codes]

    def messages(self, forward: Any, codes: Sequence[Code]) -> Tensor:
        """What the devices send if none lies, (R, N, D) or (R, N, 2 D)."""
        parts = [self._problem.coded_gradients(forward, code) for code in codes]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def relabelled(self, forward: Any, codes: Sequence[Code]) -> Tensor:
        """What the devices send if all their labels have the other sign."""
        return self.messages(self._problem.relabelled(forward), codes)
