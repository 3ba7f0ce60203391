"""What Min-Max and Min-Sum share: the honest mean, moved in one of three directions.

Shejwalkar and Houmansadr (NDSS 2021, "Manipulating the Byzantine") send ``mean + gamma p`` with the largest gamma at
which the lie is no more conspicuous than an honest message. They search for gamma by halving a step. Both conditions
are quadratic in gamma, so the largest one is known in closed form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field

from byzcode.attacks.alie import mean_and_std
from byzcode.kernels.distances import lengths, power_of_two
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Direction = Annotated[
    Literal["std", "unit", "sign"],
    Field(
        description=(
            "The direction of a lie from the honest mean: against the standard deviations of the coordinates, against "
            "the mean, or against the signs of the mean."
        )
    ),
]


class Perturbation(NamedTuple):
    """The honest mean and a direction of length 1, both (R, 1, D); the direction is 0 if none is defined.

    ``away`` (R, H, D) is how far honest messages are from the mean, in float64 and in ``unit`` (R, 1, 1), a power of
    two.
    """

    mean: Tensor
    direction: Tensor
    away: Tensor
    unit: Tensor

    def lie(self, gamma: Tensor) -> Tensor:
        """The mean moved by gamma (R,), in units, (R, 1, D)."""
        return self.mean + (self.unit * gamma[:, None, None] * self.direction).to(self.mean.dtype)


def perturbed(honest: Tensor, direction: Direction) -> Perturbation:
    """The mean of honest messages (R, H, D), and the direction in which a lie leaves it. Cost: H D."""
    mean, std = mean_and_std(honest)
    away = (honest - mean).double()
    unit = power_of_two(away.abs().amax(dim=(-2, -1), keepdim=True))
    along = -{"std": std, "unit": mean, "sign": mean.sign()}[direction].double()
    along = along / power_of_two(along.abs().amax(dim=-1, keepdim=True))
    length = lengths(along).unsqueeze(-1)
    return Perturbation(mean, torch.where(length > 0, along / length, 0.0), away / unit, unit)
