"""Trimming by gradient norm, TGN (Ghosh et al., 2021, 1911.09721)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.aggregation.rule import Rule, minority
from byzcode.kernels.distances import norms
from byzcode.kernels.order import mean_of_least

if TYPE_CHECKING:
    from torch import Tensor


def norm_trimming(messages: Tensor, f: int) -> Tensor:
    """The mean of the N - f messages with the least norms; ties are settled by values.

    Shapes: (..., N, D) to (..., D). Cost: N D. Of equal norms, the messages that are first in lexicographic order of
    coordinates are kept, so the order of the devices does not matter. Accepts f < N/2 liars, who may send infinities
    and NaN, but has no robustness constant: a lie of moderate norm enters the mean.
    """
    return mean_of_least(messages, norms(messages), messages.shape[-2] - f)


ENTRY = Rule(norm_trimming, minority, lacks=frozenset({"translation", "agreement"}))
