"""Weighted sums of rows: the coded gradients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from byzcode.kernels.native import function
from byzcode.kernels.product import product
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: If each sum takes at least this fraction of all rows, a matrix product is faster.
DENSE = 0.8


@dataclass(frozen=True, eq=False)
class Code:
    """A gradient code: device i sends the sum of ``weight[i, s]`` times the gradient of ``assigned[i, s]``.

    Both arrays are (R, N, S); a slot of weight 0 may hold any subset. If the assignment is redrawn, they stay as they
    are: device i then uses row ``devices[i]``, (R, N), and entry k of ``assigned`` stands for subset
    ``names[k]``, (R, M).
    """

    assigned: Tensor
    weight: Tensor
    devices: Tensor | None = None
    names: Tensor | None = None

    @cached_property
    def settled(self) -> tuple[Tensor, Tensor]:
        """``assigned`` and ``weight`` with the permutations of devices and subsets applied."""
        assigned, weight = self.assigned, self.weight
        if self.devices is not None:
            rows = self.devices.unsqueeze(-1).expand_as(assigned)
            assigned, weight = assigned.gather(-2, rows), weight.gather(-2, rows)
        if self.names is not None:
            assigned = self.names.gather(-1, assigned.flatten(-2)).view_as(assigned)
        return assigned, weight


def coded_rows(rows: Tensor, factor: Tensor, code: Code, samples: int = 1) -> Tensor:
    """The coded gradients, (R, N, D), if the gradient of a subset is the sum over its rows k of ``factor[k] rows[k]``.

    ``rows`` is (R, K, D) and ``factor`` (R, K); each subset has ``samples`` consecutive rows. Sums run over slots and
    rows in order, so a result does not depend on the rest of the batch; neither does that of the matrix product.
    Cost: N S D ``samples`` multiplications, or N K D if S is near M.
    """
    runs, count, dimension = rows.shape
    devices, slots = code.assigned.shape[1:]
    if slots * samples >= DENSE * count:
        return _dense(rows, factor, code, samples)
    compiled = function("coded", rows, factor, code.weight)
    read = (rows, factor, code.assigned, code.weight, code.devices, code.names)
    if compiled is None or not _as_expected(*read):
        return _sparse(rows, factor, code, samples)
    out = rows.new_empty(runs, devices, dimension)
    places = [None if tensor is None else tensor.data_ptr() for tensor in read]
    compiled(*places, out.data_ptr(), runs, count, devices, slots, samples, dimension)
    return out


def _as_expected(
    rows: Tensor, factor: Tensor, assigned: Tensor, weight: Tensor, devices: Tensor | None, names: Tensor | None
) -> bool:
    """Whether shapes, types and strides are those that the compiled code requires; torch handles all others."""
    if factor.shape != rows.shape[:2] or weight.shape != assigned.shape:
        return False
    places = (assigned, devices, names)
    return all(tensor is None or tensor.dtype == torch.int64 for tensor in places) and all(
        tensor is None or tensor.is_contiguous() for tensor in (rows, factor, weight, *places)
    )


def _sparse(rows: Tensor, factor: Tensor, code: Code, samples: int) -> Tensor:
    index, weight = _terms(factor, code, samples)
    runs, devices, terms = index.shape
    if runs > 1:
        index = index + (torch.arange(runs, device=index.device) * rows.shape[1]).view(-1, 1, 1)
    return torch.nn.functional.embedding_bag(
        index.view(-1, terms), rows.flatten(0, 1), per_sample_weights=weight.view(-1, terms), mode="sum"
    ).view(runs, devices, -1)


def _dense(rows: Tensor, factor: Tensor, code: Code, samples: int) -> Tensor:
    index, weight = _terms(factor, code, samples)
    matrix = torch.zeros(*index.shape[:2], rows.shape[1], dtype=weight.dtype, device=weight.device)
    return product(matrix.scatter_add_(-1, index, weight), rows)


def _terms(factor: Tensor, code: Code, samples: int) -> tuple[Tensor, Tensor]:
    """The rows that each device adds and their factors, both (R, N, S samples)."""
    index, weight = code.settled
    if samples > 1:
        index = (index.unsqueeze(-1) * samples + torch.arange(samples, device=index.device)).flatten(-2)
        weight = weight.repeat_interleave(samples, dim=-1)
    return index, weight * factor.gather(-1, index.flatten(-2)).view_as(index)
