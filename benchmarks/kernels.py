"""The few hot loops, against the plain torch expression of the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import naive
import rules
import torch
from timing import Case, repeated
from torch import Tensor

from byzcode.kernels.distances import squared_distances
from byzcode.kernels.gather import Code, coded_rows
from byzcode.kernels.order import mean_near_median, sort_devices
from byzcode.kernels.select import smallest

DEVICES, SUBSETS, DIMENSION, LIARS = 100, 1000, 100, 20


def cases(quick: bool, wanted: Callable[[str], bool]) -> Iterator[Case]:
    built = [
        *(_sums(assigned) for assigned in (40, 500)),
        *(_sort(dimension) for dimension in (DIMENSION, 10_000)),
        _nearest(),
        _distances(),
        _smallest(),
    ]
    return (case for case in built if wanted(f"kernel: {case.name}"))


def _case(name: str, ours: Callable[[], Tensor], plain: Callable[[], Tensor], **size: Any) -> Case:
    return Case(
        "kernel", name, {"byzcode": repeated(ours, answer=ours), "plain": repeated(plain, answer=plain)}, **size
    )


def _sums(assigned: int) -> Case:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(SUBSETS, DIMENSION, dtype=torch.float64, generator=generator)
    index = torch.stack([torch.randperm(SUBSETS, generator=generator)[:assigned] for _ in range(DEVICES)])
    weight = torch.rand(DEVICES, assigned, dtype=torch.float64, generator=generator)
    factor = torch.randn(SUBSETS, dtype=torch.float64, generator=generator)
    code = Code(index[None], weight[None])
    return _case(
        f"coded_rows, r = {assigned}",
        lambda: coded_rows(rows[None], factor[None], code)[0],
        lambda: ((weight * factor[index]).unsqueeze(-1) * rows[index]).sum(dim=1),
        read=8.0 * assigned * DEVICES * DIMENSION,
        resident=float(rows.nbytes),
    )


def _sort(dimension: int) -> Case:
    told = rules.messages(dimension)
    return _case(
        f"sort_devices, D = {dimension}",
        lambda: sort_devices(told),
        lambda: told.sort(dim=-2).values,
        read=float(told.nbytes),
        resident=float(told.nbytes),
    )


def _nearest() -> Case:
    told = rules.messages(DIMENSION)
    return _case(
        "mean_near_median",
        lambda: mean_near_median(told, LIARS),
        lambda: naive.meamed(told, LIARS),
        read=float(told.nbytes),
        resident=float(told.nbytes),
    )


def _distances() -> Case:
    told = rules.messages(DIMENSION)
    return _case("squared_distances", lambda: squared_distances(told), lambda: torch.cdist(told, told).square())


def _smallest() -> Case:
    values = torch.rand(DEVICES, DIMENSION, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    none = torch.zeros(DEVICES, DIMENSION, dtype=torch.bool)
    return _case(
        "smallest, k = 10",
        lambda: smallest(values, 10),
        lambda: none.scatter(-1, values.topk(10, largest=False).indices, value=True),
        read=float(values.nbytes),
        resident=float(values.nbytes),
    )
