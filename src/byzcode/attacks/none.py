"""No attack: every device sends its honest message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.attacks.attack import Attack

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


def none(messages: Tensor, threat: Threat, draws: Draws) -> Tensor:
    """The messages, unchanged. Shapes: (R, N, D) to (R, N, D). The liars know nothing."""
    return messages


ENTRY = Attack(none, frozenset({"own"}), title="no attack")
