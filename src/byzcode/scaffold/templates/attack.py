"""The honest mean, shifted by a constant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.attacks.attack import Attack

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Shift = Annotated[float, Field(description="What is added to every entry of the honest mean.")]


def example(messages: Tensor, threat: Threat, draws: Draws, *, shift: Shift = 1.0) -> Tensor:
    """All liars send the mean of the honest messages plus ``shift`` in every entry.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages.
    """
    return threat.replace(messages, threat.of_honest(messages).mean(dim=-2, keepdim=True) + shift)


ENTRY = Attack(example, frozenset({"honest"}), title="example")
