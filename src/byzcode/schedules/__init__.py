"""How the step changes during training: schedules, in one table.

``SCHEDULES[name](iteration, iterations, **options)`` is by what the step of an iteration, 0 to ``iterations - 1``, is
multiplied.
"""

from byzcode.lazy import Table
from byzcode.schedules.schedule import Schedule

SCHEDULES = Table(
    __name__,
    Schedule,
    (
        "constant",
        "inverse_time",
        "cosine",
        "steps",
    ),
)

__all__ = ["SCHEDULES", "Schedule"]
