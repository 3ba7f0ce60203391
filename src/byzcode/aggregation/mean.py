"""The plain mean of the messages: no robustness at all, the baseline of every comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def mean(messages: Tensor, f: int) -> Tensor:
    """Mean over devices, ``(1/N) sum_i m_i``.

    Shapes: (..., N, D) to (..., D). Cost: N D. ``f`` is not used. Breakdown point 0: one liar moves the result
    anywhere, so there is no robustness constant.
    """
    return messages.mean(dim=-2)
