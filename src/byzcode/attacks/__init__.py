"""The table of attacks: the messages that Byzantine devices send.

``ATTACKS[name](messages, threat, draws, **options)`` takes the messages (R, N, D) that all devices would send if they
were honest, the Byzantine devices, called liars for short (:class:`Threat`), and random numbers
(:class:`byzcode.randomness.Draws`). It returns the messages that the server receives, (R, N, D). The docstring of each
attack says what its liars know.
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
        "min_max",
        "min_sum",
        "tailored",
        "top_direction",
        "negate_exclusive",
        "drift",
        "mimic",
        "label_flip",
        "constant",
        "infinite",
        "nan",
    ),
)

__all__ = ["ATTACKS", "Attack", "Threat"]
