"""Liars who know the allocation turn around what nobody else can check. Ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.attacks.attack import Attack
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Coefficient = Annotated[float, Field(lt=1, description="Factor of the gradients that only liars hold.")]


def negate_exclusive(messages: Tensor, threat: Threat, draws: Draws, *, coefficient: Coefficient = -1.0) -> Tensor:
    """Each liar sends its exact coded gradient, but with the gradients that only liars hold times ``coefficient``.

    Shapes: (R, N, D) to (R, N, D). A liar knows its own gradients and the allocation. No honest message contains the
    gradients that are changed, so no comparison of messages reveals the lie; with -1 the lie is moreover as long as an
    honest message. The harm is greatest where the liars hold many subsets alone: without coding all of them (this is
    then sign flipping), with coding few, unless the liars are chosen against the allocation. If liars hold no subset
    alone, they send the truth. Cost: that of computing the coded gradients once more.
    """
    lies = torch.add(threat.of_liars(messages), threat.of_liars(threat.exclusive()), alpha=coefficient - 1)
    return threat.replace(messages, lies)


ENTRY = Attack(
    negate_exclusive,
    frozenset({"own", "allocation"}),
    title="exclusive negated",
    labels={"coefficient": ("coefficient", "coefficient of the exclusive gradients")},
)
