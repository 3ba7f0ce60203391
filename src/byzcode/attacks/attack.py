"""What an attack is: a function of the honest messages, the liars and random numbers."""

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
    """Any number of devices will do, whatever the options."""


#: What a liar may know: its own message, those of other liars, those of honest devices, what the server makes of
#: messages, and what it would send with other labels.
Knowledge = Literal["own", "others", "honest", "rule", "labels"]


@dataclass(frozen=True)
class Attack(Entry):
    """``attack(messages, threat, draws, **options)`` maps what devices should send, (R, N, D), to what arrives.

    - ``knows``: all that a lie may depend on, with some of the options. Tests hold the attack to it.
    - ``refuses(N, **options)`` gives an option that does not fit N devices, and what is allowed; else None.
    """

    function: Callable[..., Tensor]
    knows: frozenset[Knowledge]
    refuses: Callable[..., tuple[str, str] | None] = never

    def __call__(self, messages: Tensor, threat: Threat, draws: Draws, **options: Any) -> Tensor:
        """Attack; see the class."""
        return self.function(messages, threat, draws, **options)
