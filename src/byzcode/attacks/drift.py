"""Liars who leave the truth slowly, so that no iteration looks unlike the one before. Ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.attacks.alie import mean_and_std
from byzcode.attacks.attack import Attack

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Rate = Annotated[float, Field(gt=0, description="Standard deviations by which a lie leaves the truth per iteration.")]
Most = Annotated[float, Field(gt=0, description="Standard deviations after which the liars go no further.")]


def drift(messages: Tensor, threat: Threat, draws: Draws, *, rate: Rate = 0.02, most: Most = 1.5) -> Tensor:
    """Each liar sends its honest message minus ``min(rate (t + 1), most)`` standard deviations, in iteration t.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages, hence their standard deviation per coordinate
    (as in ALIE), and the time. Lies are as far from each other as honest messages are, they begin beside the truth, and
    they move the same way in all iterations. So persistent liars give a server that remembers devices nothing to notice
    at once. Cost: N D.
    """
    _, std = mean_and_std(threat.of_honest(messages))
    return threat.replace(messages, threat.of_liars(messages) - min(rate * (threat.iteration + 1), most) * std)


ENTRY = Attack(drift, frozenset({"own", "honest", "time"}), title="slow drift")
