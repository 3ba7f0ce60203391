"""Lies tailored to the server's rule (after Shejwalkar and Houmansadr, NDSS 2021, "Manipulating the Byzantine")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byzcode.attacks.attack import Attack
from byzcode.attacks.perturbation import DIRECTIONS, perturbed
from byzcode.attacks.search import harm
from byzcode.kernels.distances import lengths
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Tried = Annotated[
    Literal["any", "std", "unit", "sign", "top"],
    Field(
        description=(
            "The direction of a lie from the honest mean: that of ALIE (std), of IPM (unit), against the signs of the "
            "mean, the one in which honest messages differ most, or the most harmful of these."
        )
    ),
]
Strengths = Annotated[
    int, Field(ge=1, le=60, description="How many strengths are tried per direction: 1/4, 1/2, 1, 2 ... spreads.")
]

WEAKEST = 0.25


def tailored(
    messages: Tensor, threat: Threat, draws: Draws, *, direction: Tried = "any", strengths: Strengths = 5
) -> Tensor:
    """All liars send the honest mean, moved in the direction and by the length that harm most under the server's rule.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages and the server's rule, including its random
    numbers. They maximise the distance of the aggregate from the honest mean (as that paper, and as
    :mod:`byzcode.attacks.search`) over a grid, which is ours: the mean itself, and in each direction ``strengths``
    lengths, 1/4, 1/2, 1, 2 ... times the root mean square distance of honest messages from their mean. ALIE, IPM and
    Min-Max lie in three of the directions. Such a grid also finds short lies, which a search from ten standard
    deviations outwards strides over. Cost: 1 + ``strengths`` times that of the server per direction.
    """
    honest, harm_of = threat.of_honest(messages), harm(messages, threat)
    best = threat.replace(messages, honest.mean(dim=-2, keepdim=True))
    most = harm_of(best)
    for along in DIRECTIONS if direction == "any" else (direction,):
        moved = perturbed(honest, along)
        spread = lengths(moved.away.flatten(-2)) / honest.shape[-2] ** 0.5
        for doublings in range(strengths):
            tried = threat.replace(messages, moved.lie(WEAKEST * 2**doublings * spread))
            harmed = harm_of(tried)
            better = harmed > most  # false for NaN
            best = torch.where(better[:, None, None], tried, best)
            most = torch.where(better, harmed, most)
    return best


ENTRY = Attack(tailored, frozenset({"honest", "rule"}), title="tailored to the rule")
