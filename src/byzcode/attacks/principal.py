"""The direction in which messages differ most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.kernels.distances import largest, lengths, power_of_two
from byzcode.kernels.product import product, times
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

SQUARINGS = 8


def leverage(centred: Tensor) -> Tensor:
    """A high power G^m / trace of the Gram matrix G, (R, H, H), of centred messages (R, H, D), with m = 2^8.

    It tends to u u', u the first eigenvector of G. Torch's eigh would wait for the GPU. Cost: H^2 D + 8 H^3.
    """
    centred = centred / power_of_two(largest(centred).amax(dim=-2, keepdim=True))
    power = product(centred, centred.mT)
    for _ in range(SQUARINGS):
        power = power / power.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[:, None, None]
        power = product(power, power)
    return power


def first_principal(centred: Tensor) -> Tensor:
    """The first principal direction, (R, D) of length 1 in float64, of centred messages (R, H, D); 0 if they are equal.

    Its sign is not determined. Cost: H^2 D + 8 H^3.
    """
    centred = centred.double()
    power = leverage(centred)
    place = power.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    among = power.gather(-1, place[:, None, None].expand(-1, power.shape[-2], 1)).squeeze(-1)
    unit = power_of_two(largest(centred).amax(dim=-2, keepdim=True))
    along = times((centred / unit).mT, among)
    length = lengths(along).unsqueeze(-1)
    return torch.where(length > 0, along / length, 0.0)
