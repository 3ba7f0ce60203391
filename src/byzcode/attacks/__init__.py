"""What liars send: attacks, in one table.

``ATTACKS[name](messages, threat, draws, **options)`` gets the messages (R, N, D) that all devices would send if they
were honest, the liars (:class:`Threat`) and random numbers (:class:`byzcode.randomness.Draws`), and returns what the
server receives, (R, N, D). The docstring of each attack says what its liars know.
"""

from byzcode.attacks.attack import Attack
from byzcode.attacks.threat import Threat
from byzcode.lazy import Table

ATTACKS = Table(
    __name__,
    Attack,
    (
        "none",
        "sign_flip",
        "gaussian",
        "sample_duplicating",
        "alie",
        "alie_search",
        "ipm",
        "ipm_search",
        "mimic",
        "label_flip",
        "constant",
        "infinite",
        "nan",
    ),
)

__all__ = ["ATTACKS", "Attack", "Threat"]
