"""The server waits for the first N - s messages: the slowest devices are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.absence.absence import Absence, Lateness, Share, Spread, delays

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def slowest(draws: Draws, loads: Tensor, *, share: Share = 0.1, spread: Spread = 1.0) -> Lateness:
    """The devices with the longest delays in an iteration do not answer; the server goes on when the others have.

    Delays are those of :mod:`byzcode.absence.share`, so the two differ in time, not in how many messages come. Shapes:
    (R, N) to two of (R, N). Cost: N log N.
    """
    delay = delays(draws, loads, spread)
    return Lateness(delay, delay)


ENTRY = Absence(slowest, title="slowest devices", labels={"share": ("share absent", "share of absent devices")})
