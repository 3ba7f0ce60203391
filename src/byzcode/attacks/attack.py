"""What an attack is: a function of the honest messages, the liars and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


@dataclass(frozen=True)
class Attack:
    """``attack(messages, threat, draws, **options)`` maps what devices should send, (R, N, D), to what arrives."""

    function: Callable[..., Tensor]

    def __call__(self, messages: Tensor, threat: Threat, draws: Draws, **options: Any) -> Tensor:
        """Attack; see the class."""
        return self.function(messages, threat, draws, **options)
