"""The random numbers of a call: those of a run with the same seed in the same iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.front import named
from byzcode.randomness import Draws, Stream

if TYPE_CHECKING:
    from torch import Tensor

#: The purpose of each function's random numbers, as in a training.
PURPOSES = {"attack": "attack", "compress": "compression", "pre_aggregate": "pre_aggregation"}


def draws_of(runs: Tensor, seed: int, iteration: int, where: str) -> Draws:
    """The draws for messages (R, N, D): those of the seeds ``seed`` to ``seed + R - 1``. Raises UserError."""
    first = named.whole(seed, where, "seed", 0, 2**32 - len(runs))
    now = named.whole(iteration, where, "iteration", 0)
    return Draws([Stream(first + run, PURPOSES[where]) for run in range(len(runs))], now, like=runs)
