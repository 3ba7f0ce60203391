"""No absence: all devices answer, and no delays are modelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.absence.absence import Absence, Lateness, nobody
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def none(draws: Draws, loads: Tensor) -> Lateness:
    """All devices answer at once. Shapes: (R, N) to two of (R, N)."""
    return Lateness(torch.zeros_like(loads), torch.zeros_like(loads))


ENTRY = Absence(none, nobody, idle=True, title="no absence")
