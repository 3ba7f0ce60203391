"""What an attack is: a function of the honest messages, the liars and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from byzcode.lazy import Entry

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


def never(devices: int, **options: Any) -> None:
    """Any number of devices will do, whatever the options."""


@dataclass(frozen=True)
class Attack(Entry):
    """``attack(messages, threat, draws, **options)`` maps what devices should send, (R, N, D), to what arrives.

    ``refuses(N, **options)`` gives an option that does not fit N devices, and what is allowed; else None.
    """

    function: Callable[..., Tensor]
    refuses: Callable[..., tuple[str, str] | None] = never

    def __call__(self, messages: Tensor, threat: Threat, draws: Draws, **options: Any) -> Tensor:
        """Attack; see the class."""
        return self.function(messages, threat, draws, **options)
