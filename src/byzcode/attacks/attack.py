"""The class of attacks: functions of the honest messages, the Byzantine devices and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from byzcode.lazy import Entry

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


def never(devices: int, **options: Any) -> None:
    """Refuse nothing: any number of devices and all options are allowed."""


#: What a liar may know: its own message, those of other liars, those of honest devices, the server's rule, its own
#: message with other labels, which device holds which subsets (and so which part of its message only liars know), and
#: how long the training has lasted.
Knowledge = Literal["own", "others", "honest", "rule", "labels", "allocation", "time"]


@dataclass(frozen=True)
class Attack(Entry):
    """``attack(messages, threat, draws, **options)`` maps honest messages (R, N, D) to received ones, (R, N, D).

    - ``knows``: all that a Byzantine message may depend on, with any of the options. Tests check this.
    - ``refuses(N, **options)`` returns an option that does not fit N devices, and what is allowed; else None.
    """

    function: Callable[..., Tensor]
    knows: frozenset[Knowledge]
    refuses: Callable[..., tuple[str, str] | None] = never

    def __call__(self, messages: Tensor, threat: Threat, draws: Draws, **options: Any) -> Tensor:
        """Attack; see the class."""
        return self.function(messages, threat, draws, **options)
