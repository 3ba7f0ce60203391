"""A step that falls along half a cosine."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from byzcode.schedules.schedule import Schedule

Least = Annotated[float, Field(ge=0, le=1, description="The factor of the step at the end.")]


def cosine(iteration: int, iterations: int, *, least: Least = 0.0) -> float:
    """Least + (1 - least) (1 + cos(pi t / T)) / 2, without restarts (1608.03983)."""
    return least + (1 - least) * (1 + math.cos(math.pi * iteration / iterations)) / 2


ENTRY = Schedule(cosine)
