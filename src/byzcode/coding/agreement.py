"""Which copies of a file agree, and the vector of the largest group of copies that do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.kernels.order import sort_devices
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Two copies agree if no entry differs by more than eps^0.6 (4e-10 in double precision, 7e-5 in single) of the largest
#: entry of either: this tolerates sums in another order, and a lie nearer than that does no harm.
AGREEMENT = 0.6


def near(one: Tensor, other: Tensor) -> Tensor:
    """Whether vectors (..., D) agree, (...). A vector that is not finite agrees with none."""
    return _near(one, other, torch.minimum(_size(one), _size(other)))


def _near(one: Tensor, other: Tensor, scale: Tensor) -> Tensor:
    far = _size(one - other)
    within: Tensor = (far <= torch.finfo(one.dtype).eps ** AGREEMENT * scale) & (far < torch.inf)
    return within


def _size(vectors: Tensor) -> Tensor:
    least, most = vectors.aminmax(dim=-1)
    return torch.maximum(-least, most)


def agreements(copies: Tensor) -> Tensor:
    """Which copies agree: (..., c, D) to (..., c, c) of bool. Each agrees with itself. Cost: c^2 D / 2."""
    number, size = copies.shape[-2], _size(copies)
    agree = torch.eye(number, dtype=torch.bool, device=copies.device).expand(*copies.shape[:-2], -1, -1).clone()
    for one in range(number):
        for other in range(one):
            scale = torch.minimum(size[..., one], size[..., other])
            same = _near(copies[..., one, :], copies[..., other, :], scale)
            agree[..., one, other], agree[..., other, one] = same, same
    return agree


def most_frequent(copies: Tensor, agree: Tensor, allowed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The vector with which most allowed copies agree: (..., c, D) to (..., D); and whether any is allowed, (...).

    A majority of equal copies wins, whatever the others are. Of several vectors with equally many copies the result is
    the lower median, per coordinate: it depends on values alone. Cost: c log c D.
    """
    number = agree.sum(dim=-1) if allowed is None else (agree & allowed.unsqueeze(-2)).sum(dim=-1) * allowed
    most = number.amax(dim=-1, keepdim=True)
    winners = number == most
    ordered = sort_devices(copies.masked_fill(~winners.unsqueeze(-1), torch.inf))
    middle = (winners.sum(dim=-1, keepdim=True) - 1) // 2
    return torch.take_along_dim(ordered, middle.unsqueeze(-1), dim=-2).squeeze(-2), most.squeeze(-1) > 0


def without(vectors: Tensor, present: Tensor) -> Tensor:
    """Vectors (R, F, D) with those that are not ``present`` (R, F) replaced by the mean of the others, or by 0."""
    kept = present.unsqueeze(-1)
    mean = torch.where(kept, vectors, 0.0).sum(dim=-2, keepdim=True) / kept.sum(dim=-2, keepdim=True).clamp(min=1)
    return torch.where(kept, vectors, mean)
