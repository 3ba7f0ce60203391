"""The plain mean of the messages: no robustness at all, the baseline of every comparison."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from byzcode.aggregation.rule import Rule, everyone
from byzcode.kernels.order import total

if TYPE_CHECKING:
    from torch import Tensor

#: From this many coordinates on, adding up device by device is faster than torch's mean, by a quarter at 100,000.
WIDE = 20_000


def mean(messages: Tensor, f: int) -> Tensor:
    """Mean over devices, ``(1/N) sum_i m_i``.

    Shapes: (..., N, D) to (..., D). Cost: N D. ``f`` is not used. Breakdown point 0: one liar moves the result
    anywhere, so there is no robustness constant.
    """
    if messages.shape[-1] < WIDE:
        return messages.mean(dim=-2)
    return total(messages) / messages.shape[-2]


def kappa(devices: int, f: int) -> float:
    """0 without liars, else infinite."""
    return math.inf if f else 0.0


ENTRY = Rule(mean, everyone, lacks=frozenset({"agreement"}), kappa=kappa)
