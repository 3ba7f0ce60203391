"""Inner product manipulation, IPM, also "fall of empires" (Xie et al., 2020, 1903.03936)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.attacks.attack import Attack

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Factor = Annotated[float, Field(gt=0, description="Length of a lie, relative to that of the honest mean.")]


def ipm(messages: Tensor, threat: Threat, draws: Draws, *, factor: Factor = 2.0) -> Tensor:
    """All liars send ``-factor`` times the mean of the honest messages.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages. The mean of all messages keeps its direction
    while factor < (N - f) / f.
    """
    return threat.replace(messages, -factor * threat.of_honest(messages).mean(dim=-2, keepdim=True))


ENTRY = Attack(ipm, frozenset({"honest"}), title="IPM")
