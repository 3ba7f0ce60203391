"""The same step throughout."""

from __future__ import annotations

from byzcode.schedules.schedule import Schedule


def constant(iteration: int, iterations: int) -> float:
    """The factor 1 throughout."""
    return 1.0


ENTRY = Schedule(constant)
