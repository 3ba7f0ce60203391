"""A step that is halved once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from byzcode.schedules.schedule import Schedule

Share = Annotated[float, Field(ge=0, le=1, description="After which share of the iterations.")]


def halving(iteration: int, iterations: int, *, after: Share = 0.5) -> float:
    """1, then 1/2."""
    return 1.0 if iteration < after * iterations else 0.5


ENTRY = Schedule(halving)
