"""Sign flipping (Li et al., 2019, "RSA"; the trio of attacks of Dong et al. 2307.07980)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Coefficient = Annotated[float, Field(lt=0, description="What a liar multiplies its own message by; negative.")]


def sign_flip(messages: Tensor, threat: Threat, draws: Draws, *, coefficient: Coefficient = -5.0) -> Tensor:
    """Each liar sends ``coefficient`` times the message that it should have sent.

    Shapes: (R, N, D) to (R, N, D). A liar knows its own data only. The plain mean then still descends while
    alpha < 1 / (1 + |coefficient|).
    """
    return threat.replace(messages, coefficient * threat.of_liars(messages))
