"""Sign flipping (Li et al., 2019, "RSA"; one of three attacks of Dong et al. 2307.07980)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byzcode.attacks.attack import Attack

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Coefficient = Annotated[float, Field(lt=0, description="Factor of the flipped message; negative.")]
Of = Annotated[
    Literal["own", "honest_mean"],
    Field(description="The message to flip: the liar's own, or the mean of the honest messages (Allen-Zhu 2020)."),
]


def sign_flip(
    messages: Tensor, threat: Threat, draws: Draws, *, coefficient: Coefficient = -5.0, of: Of = "own"
) -> Tensor:
    """Each liar sends ``coefficient`` times its honest message, or times the mean of the honest messages.

    Shapes: (R, N, D) to (R, N, D). A liar knows only its own data; with ``honest_mean``, the honest messages. In the
    latter case the plain mean still descends while alpha < 1 / (1 + |coefficient|).
    """
    if of == "honest_mean":
        return threat.replace(messages, coefficient * threat.of_honest(messages).mean(dim=-2, keepdim=True))
    return threat.replace(messages, coefficient * threat.of_liars(messages))


ENTRY = Attack(
    sign_flip,
    frozenset({"own", "honest"}),
    labels={"coefficient": ("coefficient", "coefficient of the sign flip")},
)
