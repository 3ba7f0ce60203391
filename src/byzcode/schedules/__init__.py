"""How the step changes during training, in one table.

A schedule is ``schedule(iteration, iterations, *, ...) -> float``: by what the step of an iteration, 0 to
``iterations - 1``, is multiplied.
"""

from collections.abc import Callable, Mapping

from byzcode.schedules.constant import constant
from byzcode.schedules.cosine import cosine
from byzcode.schedules.inverse_time import inverse_time
from byzcode.schedules.steps import steps

Schedule = Callable[..., float]

SCHEDULES: Mapping[str, Schedule] = {
    "constant": constant,
    "cosine": cosine,
    "inverse_time": inverse_time,
    "steps": steps,
}

__all__ = ["SCHEDULES", "Schedule"]
