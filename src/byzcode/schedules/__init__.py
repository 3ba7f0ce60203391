"""Step schedules, which change the step during training, in one table.

``SCHEDULES[name](iteration, iterations, **options)`` is the factor of the step in an iteration, 0 to
``iterations - 1``.
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
