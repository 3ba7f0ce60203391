"""The table of absences: which devices do not answer in an iteration, and how long the others take.

``ABSENCES[name](draws, loads, **options)`` maps the numbers of gradients that devices compute, (R, N), to a
:class:`Lateness` of two (R, N).
"""

from byzcode.absence.absence import Absence, Lateness
from byzcode.lazy import Table

ABSENCES = Table(
    __name__,
    Absence,
    (
        "none",
        "share",
        "slowest",
    ),
)

__all__ = ["ABSENCES", "Absence", "Lateness"]
