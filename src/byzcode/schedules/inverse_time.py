"""A step that falls as 1/t."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from byzcode.schedules.schedule import Schedule

Decay = Annotated[float, Field(ge=0, le=1e9, description="How fast: after 1/decay iterations the step is halved.")]


def inverse_time(iteration: int, iterations: int, *, decay: Decay = 0.01) -> float:
    """1 / (1 + decay t): the sum of the steps diverges, that of their squares converges (Robbins and Monro, 1951)."""
    return 1 / (1 + decay * iteration)


ENTRY = Schedule(inverse_time)
