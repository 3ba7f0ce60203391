"""Liars who hide where honest messages differ most. Ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.attacks.attack import Attack
from byzcode.attacks.perturbation import perturbed
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Factor = Annotated[
    float | None,
    Field(
        gt=0,
        description=(
            "Standard deviations along that direction from the honest mean to a lie; if left out, a lie is as far out "
            "as the farthest honest message on that side."
        ),
    ),
]


def top_direction(messages: Tensor, threat: Threat, draws: Draws, *, factor: Factor = None) -> Tensor:
    """All liars send the honest mean, moved along the first principal direction of the honest messages.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages. The lie is ``mean - gamma u`` with u the first
    eigenvector of the honest covariance, with the sign that agrees with the mean. By default gamma is the largest at
    which an honest message is as far out, ``max_i <mean - m_i, u>``: of all directions, this is the one in which a lie
    within the honest messages may be farthest from their mean. Cost: N^2 D + 8 N^3.
    """
    moved = perturbed(threat.of_honest(messages), "top")
    places = torch.linalg.vecdot(moved.away, moved.direction.expand_as(moved.away))
    if factor is None:
        gamma = places.amax(dim=-1)
    else:
        gamma = factor * (places.square().sum(dim=-1) / max(places.shape[-1] - 1, 1)).sqrt()
    return threat.replace(messages, moved.lie(gamma))


ENTRY = Attack(top_direction, frozenset({"honest"}), title="top direction")
