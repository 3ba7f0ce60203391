"""A step that falls by a factor at regular intervals."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from byzcode.schedules.schedule import Schedule

Every = Annotated[int, Field(ge=1, le=10**8, description="Iterations from one fall to the next.")]
Factor = Annotated[float, Field(gt=0, le=1, description="The factor of the step at each fall.")]


def steps(iteration: int, iterations: int, *, every: Every = 100, factor: Factor = 0.5) -> float:
    """factor^floor(t / every)."""
    return float(factor ** (iteration // every))


ENTRY = Schedule(steps)
