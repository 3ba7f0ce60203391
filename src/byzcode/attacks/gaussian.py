"""Gaussian noise in place of a gradient (one of three attacks of Dong et al. 2307.07980)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.attacks.attack import Attack

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Scale = Annotated[float, Field(gt=0, description="Standard deviation of each entry of a lie.")]


def gaussian(messages: Tensor, threat: Threat, draws: Draws, *, scale: Scale = 200.0) -> Tensor:
    """Each liar sends its own draw of N(0, scale^2 I).

    Shapes: (R, N, D) to (R, N, D). The liars know nothing. Under the plain mean the error has variance
    alpha scale^2 D / N in each iteration.
    """
    return threat.replace(messages, scale * draws.normal(threat.f, messages.shape[-1]))


ENTRY = Attack(gaussian, frozenset(), title="Gaussian", labels={"scale": ("scale", "standard deviation of the lies")})
