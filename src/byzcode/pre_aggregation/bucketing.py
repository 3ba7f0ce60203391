"""Bucketing (Karimireddy et al., 2022, 2006.09365)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.lazy import torch
from byzcode.pre_aggregation.pre_aggregator import PreAggregator

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws

Size = Annotated[int, Field(ge=1, description="Number of messages per bucket.")]


def buckets(devices: int, *, size: int = 2) -> int:
    """The number of buckets, ceil(N / size)."""
    return -(-devices // size)


def bucketing(messages: Tensor, f: int, draws: Draws, *, size: Size = 2) -> Tensor:
    """The means of buckets of ``size`` messages, in a new random order each time; the last bucket may be smaller.

    Shapes: (R, N, D) to (R, ceil(N / size), D). Cost: N D. The order is drawn for the devices and does not depend on
    their messages: the same messages on other devices fall into other buckets. Each of f liars spoils at most one
    bucket, so the rule that follows must tolerate f lies among fewer messages.
    """
    runs, devices, dimension = messages.shape
    run, first = _starts(runs, devices, size, messages.device)
    mixed = (draws.uniform(devices).argsort(dim=-1) + run).flatten()
    # One pass gathers and adds up the messages bucket by bucket, in order.
    sums = torch.nn.functional.embedding_bag(mixed, messages.flatten(0, 1), first, mode="sum")
    means = sums.div_(size).view(runs, -1, dimension)
    if devices % size:
        means[:, -1].mul_(size / (devices % size))
    return means


@cache
def _starts(runs: int, devices: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The start of each run in a list of all devices, (R, 1), and the start of each bucket."""
    run = torch.arange(0, runs * devices, devices, device=device).unsqueeze(-1)
    return run, (run + torch.arange(0, devices, size, device=device)).flatten()


ENTRY = PreAggregator(bucketing, left=buckets, lacks=frozenset({"order"}))
