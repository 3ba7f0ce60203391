"""What Min-Max, Min-Sum and attacks tailored to a rule share: the honest mean, moved in a direction.

Shejwalkar and Houmansadr (NDSS 2021, "Manipulating the Byzantine") send ``mean + gamma p`` with the largest gamma at
which the lie is no more conspicuous than an honest message. They search for gamma by halving a step. Both conditions
are quadratic in gamma, so the largest one is known in closed form. The first three directions are theirs; the first
principal direction is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field

from byzcode.attacks.alie import mean_and_std
from byzcode.attacks.principal import first_principal
from byzcode.kernels.distances import lengths, power_of_two
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Direction = Annotated[
    Literal["std", "unit", "sign", "top"],
    Field(
        description=(
            "The direction of a lie from the honest mean: against the standard deviations of the coordinates, against "
            "the mean, against the signs of the mean, or that in which honest messages differ most, against the mean."
        )
    ),
]


def _top(mean: Tensor, std: Tensor, away: Tensor) -> Tensor:
    along = first_principal(away).unsqueeze(-2)
    agrees = torch.linalg.vecdot(along, mean.double()).unsqueeze(-1) >= 0
    return torch.where(agrees, along, -along)


#: The vector (R, 1, D) that a lie moves against, from the honest mean and standard deviation, (R, 1, D), and the
#: centred honest messages, (R, H, D).
_ALONG: Mapping[Direction, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "std": lambda mean, std, away: std,
    "unit": lambda mean, std, away: mean,
    "sign": lambda mean, std, away: mean.sign(),
    "top": _top,
}
DIRECTIONS = tuple(_ALONG)


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
    """The mean of honest messages (R, H, D), and the direction in which a lie leaves it.

    Cost: H D; for the direction "top" H^2 D + 8 H^3.
    """
    mean, std = mean_and_std(honest)
    away = (honest - mean).double()
    unit = power_of_two(away.abs().amax(dim=(-2, -1), keepdim=True))
    along = -_ALONG[direction](mean, std, away).double()
    along = along / power_of_two(along.abs().amax(dim=-1, keepdim=True))
    length = lengths(along).unsqueeze(-1)
    return Perturbation(mean, torch.where(length > 0, along / length, 0.0), away / unit, unit)
