"""Sign flipping (Li et al., 2019, "RSA"; one of three attacks of Dong et al. 2307.07980)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byzcode.attacks.attack import Attack
from byzcode.kernels.order import take_devices

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Coefficient = Annotated[float, Field(lt=0, description="Factor of the flipped message; negative.")]
Of = Annotated[
    Literal["own", "honest_mean", "first_honest"],
    Field(
        description=(
            "The message to flip: the liar's own, the mean of the honest messages (Allen-Zhu 2020), or that of the "
            "first honest device (as in code of 2307.07980)."
        )
    ),
]


def sign_flip(
    messages: Tensor, threat: Threat, draws: Draws, *, coefficient: Coefficient = -5.0, of: Of = "own"
) -> Tensor:
    """Each liar sends ``coefficient`` times its honest message, or times the mean or the first of the honest messages.

    Shapes: (R, N, D) to (R, N, D). A liar knows only its own data; with the other two, the honest messages. With
    ``honest_mean`` the plain mean still descends while alpha < 1 / (1 + |coefficient|).
    """
    if of == "first_honest":
        first = threat.honest.min(dim=-1, keepdim=True).values
        return threat.replace(messages, coefficient * take_devices(messages, first))
    if of == "honest_mean":
        return threat.replace(messages, coefficient * threat.of_honest(messages).mean(dim=-2, keepdim=True))
    return threat.replace(messages, coefficient * threat.of_liars(messages))


ENTRY = Attack(
    sign_flip,
    frozenset({"own", "honest"}),
    labels={"coefficient": ("coefficient", "coefficient of the sign flip")},
)
