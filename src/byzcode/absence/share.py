"""A fixed share of the devices, drawn anew in each iteration, does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.absence.absence import Absence, Lateness, Share, Spread, delays

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def share(draws: Draws, loads: Tensor, *, share: Share = 0.1, spread: Spread = 1.0) -> Lateness:
    """Uniformly drawn devices do not answer; the server waits for the last of the others.

    Stochastic gradient coding (1905.05383) assumes that each device is absent with a probability p, independently. Here
    exactly s = p N are, so that all runs of a batch have as many messages. The plain mean of N - s messages is then
    SGC's sum with weights 1 / (c (1 - p)), whose server knows p. Shapes: (R, N) to two of (R, N). Cost: N log N.
    """
    return Lateness(delays(draws, loads, spread), draws.uniform(loads.shape[-1]))


ENTRY = Absence(share, title="random absence", labels={"share": ("share absent", "share of absent devices")})
