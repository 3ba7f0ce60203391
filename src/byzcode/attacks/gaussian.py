"""Gaussian noise in place of a gradient (one of three attacks of Dong et al. 2307.07980)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byzcode.attacks.attack import Attack

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Scale = Annotated[float, Field(gt=0, description="Standard deviation of each entry of a lie.")]
Around = Annotated[
    Literal["zero", "honest_mean"],
    Field(description="The mean of the lies: zero, or the mean of the honest messages."),
]
Shared = Annotated[bool, Field(description="Whether all liars send the same draw, or each its own.")]


def gaussian(
    messages: Tensor,
    threat: Threat,
    draws: Draws,
    *,
    scale: Scale = 200.0,
    around: Around = "zero",
    shared: Shared = False,
) -> Tensor:
    """Each liar sends its own draw of N(0, scale^2 I), or all send one draw; the mean may be that of honest messages.

    Shapes: (R, N, D) to (R, N, D). The liars know nothing; with ``honest_mean``, the honest messages. Under the plain
    mean, own draws around zero give the error the variance alpha scale^2 D / N in each iteration, a shared draw
    alpha^2 scale^2 D.
    """
    lies = scale * draws.normal(1 if shared else threat.f, messages.shape[-1])
    if around == "honest_mean":
        lies = lies + threat.of_honest(messages).mean(dim=-2, keepdim=True)
    return threat.replace(messages, lies)


ENTRY = Attack(
    gaussian,
    frozenset({"honest"}),
    title="Gaussian",
    labels={"scale": ("scale", "standard deviation of the lies")},
    added=frozenset({"around", "shared"}),
)
