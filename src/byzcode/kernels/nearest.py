"""The messages nearest to each message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.kernels.distances import in_units, multiplied_out, squared_distances
from byzcode.kernels.select import smallest
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def nearest(away: Tensor, k: int) -> Tensor:
    """True if message j is among the k nearest to message i, itself included, (..., N, N).

    Ties are broken in the order of :func:`byzcode.kernels.select.by_value`. ``away`` are centred messages (..., N, D).
    Cost: N^2 D. The CPU first uses the fast expanded distances. If rounding errors or ties could change the choice, it
    uses the distances that do not depend on the order of devices. Choosing another one of several equal messages makes
    no difference.
    """
    if away.device.type != "cpu":
        return smallest(squared_distances(away), k, away)
    scaled = in_units(away)
    distances = multiplied_out(scaled)
    taken = smallest(distances, k)
    if k == distances.shape[-1]:
        return taken
    inner = torch.where(taken, distances, 0.0).amax(dim=-1, keepdim=True)
    outer = torch.where(taken, torch.inf, distances).amin(dim=-1, keepdim=True)
    # The error of a distance is at most D roundings of ||m_i||^2 + ||m_j||^2 <= 3 ||m_i||^2 + 2 ||m_i - m_j||^2.
    square = torch.linalg.vecdot(scaled, scaled).unsqueeze(-1)
    rounding = (scaled.shape[-1] + 8) * torch.finfo(scaled.dtype).eps
    doubt = square.isfinite() & ~(outer - inner > 2 * rounding * (3 * square + 2 * inner))
    if not doubt.any():
        return taken
    distances = squared_distances(away)
    settled = smallest(distances, k, away)
    differs = taken ^ settled
    some = differs.to(torch.uint8).argmax(dim=-1, keepdim=True).expand(distances.shape)
    matters = (differs & (distances.gather(-2, some) > 0)).any(dim=-1, keepdim=True)
    return torch.where(doubt & matters, settled, taken)
