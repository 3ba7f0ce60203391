"""The devices: honest ones send combinations of the gradients of the subsets that they hold in an iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.kernels.gather import Code, coded_rows
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


class Codes(NamedTuple):
    """The codes of the messages: one, or two for the real and the imaginary part of complex weights.

    With ``tasks`` the sums of the subsets of each task are made first, and ``parts`` combine these: a task of complex
    weights is held by several devices, with all its subsets.
    """

    parts: Sequence[Code]
    tasks: Code | None = None


class Devices:
    """N devices in each of R runs, with their subsets and weights.

    ``assigned`` and ``weights`` are (R, N, S). If the assignment is redrawn, each iteration has a fresh permutation of
    the subsets, of the devices, or of both, which are readings of LAD (2603.28780). A weight belongs to its slot,
    whatever subset the slot holds. With complex weights a message has 2 D numbers: first the real part, then the
    imaginary part. ``like`` has the precision and the compute device of the messages. ``loads`` (R, N) are the
    numbers of gradients that each device computes.
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
        self.loads = torch.from_numpy((assigned != EMPTY).sum(axis=-1)).to(like)
        tasks = None
        if np.iscomplexobj(weights) and (size := _task_size(assigned, weights, subsets)) > 1:
            members = np.broadcast_to(np.arange(subsets).reshape(-1, size), (len(seeds), subsets // size, size)).copy()
            tasks = Code(torch.from_numpy(members).to(like.device), like.new_ones(members.shape))
            assigned, weights = assigned[..., ::size] // size, weights[..., ::size]
        parts = (weights.real, weights.imag) if np.iscomplexobj(weights) else (weights,)
        places = torch.from_numpy(np.where(assigned == EMPTY, 0, assigned).astype(np.int64)).to(like.device)
        self._codes = Codes(
            [Code(places, torch.from_numpy(np.ascontiguousarray(part)).to(like)) for part in parts], tasks
        )
        self._subsets = subsets
        sizes = {"devices": assigned.shape[1], "subsets": subsets}
        self._orders = {
            kind: Orders(seeds, sizes[kind], f"assignment/{kind}", redrawn=True, device=like.device)
            for kind in _PERMUTED[assignment]
        }

    def codes(self, iteration: int) -> Codes:
        """The codes by which the devices combine gradients in an iteration."""
        if not self._orders:
            return self._codes
        orders = {kind: orders.at(iteration) for kind, orders in self._orders.items()}
        devices, names = orders.get("devices"), orders.get("subsets")
        parts, tasks = self._codes
        if tasks is None:
            return Codes([replace(part, devices=devices, names=names) for part in parts])
        return Codes([replace(part, devices=devices) for part in parts], replace(tasks, names=names))

    def exclusive(self, codes: Codes, honest: Tensor) -> Codes:
        """The codes of an iteration without the subsets that some honest device (R, H) holds. Cost: N S."""
        settled = [part.settled for part in codes.parts]
        places = settled[0][0]
        holds = torch.stack([weight != 0 for _, weight in settled]).any(dim=0)
        rows = honest.unsqueeze(-1).expand(-1, -1, places.shape[-1])
        copies = torch.zeros((len(places), self._subsets), dtype=torch.int64, device=places.device).scatter_add(
            -1, places.gather(-2, rows).flatten(-2), holds.gather(-2, rows).flatten(-2).long()
        )
        alone = copies.gather(-1, places.flatten(-2)).view_as(places) == 0
        return Codes([Code(places, weight * alone) for _, weight in settled], codes.tasks)


def _task_size(assigned: NDArray[np.int32], weights: NDArray[Any], subsets: int) -> int:
    """The number of consecutive subsets that every device holds together and with the same weight; 1 if none."""
    size = max(1, subsets // assigned.shape[1])
    if subsets % size or assigned.shape[-1] % size:
        return 1
    tasks, of_tasks = (array.reshape(*array.shape[:-1], -1, size) for array in (assigned, weights))
    together = (tasks == tasks[..., :1] // size * size + np.arange(size)).all() and (
        of_tasks == of_tasks[..., :1]
    ).all()
    return size if together else 1


def messages(at: Iterate, codes: Codes) -> Tensor:
    """The messages of the devices if all are honest, (R, N, D) or (R, N, 2 D)."""
    return _messages(at, at.forward, codes)


def relabelled(at: Iterate, codes: Codes) -> Tensor:
    """The messages of the devices if all labels are flipped (see :meth:`Problem.relabelled`)."""
    return _messages(at, at.problem.relabelled(at.forward), codes)


def exclusive(at: Iterate, devices: Devices, codes: Codes, honest: Tensor) -> Tensor:
    """The parts of the messages that come from subsets which no honest device (R, H) holds; 0 for honest devices."""
    return _messages(at, at.forward, devices.exclusive(codes, honest))


def _messages(at: Iterate, forward: Any, codes: Codes) -> Tensor:
    if codes.tasks is None:
        parts = [at.problem.coded_gradients(forward, code) for code in codes.parts]
    else:
        sums = at.problem.coded_gradients(forward, codes.tasks)
        parts = [coded_rows(sums, sums.new_ones(sums.shape[:2]), code) for code in codes.parts]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
