"""Only devices of the second half may be absent, as an example of an added absence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.absence.absence import Absence, Lateness, Share, Spread, delays
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def second_half(draws: Draws, loads: Tensor, *, share: Share = 0.1, spread: Spread = 1.0) -> Lateness:
    """The slowest devices of the second half are absent. Shapes: (R, N) to two of (R, N). Cost: N log N."""
    delay = delays(draws, loads, spread)
    late = torch.arange(loads.shape[-1], device=loads.device) >= loads.shape[-1] // 2
    return Lateness(delay, torch.where(late, delay, 0.0))


ENTRY = Absence(second_half)
