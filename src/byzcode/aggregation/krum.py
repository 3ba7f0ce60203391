"""Krum (Blanchard et al., 2017, 1703.02757)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byzcode.aggregation.rule import Rule, near_minority, unevenness
from byzcode.kernels.distances import ROUGH, centred, rough_distances, squared_distances
from byzcode.kernels.order import sort_devices, take_devices, total
from byzcode.kernels.select import least

if TYPE_CHECKING:
    from torch import Tensor

Neighbours = Annotated[
    Literal["n-f-2", "n-f-1"],
    Field(description="Neighbours that a score counts: n-f-2 as in the paper, or n-f-1 as in later libraries."),
]

#: More than what underflow takes from a sum of squared distances in single precision, in units.
_UNDERFLOW = 2.0**-80


def krum(messages: Tensor, f: int, *, neighbours: Neighbours = "n-f-2") -> Tensor:
    """The message with the least sum of squared distances to its nearest others; ties are settled by values.

    Shapes: (..., N, D) to (..., D). Cost: N^2 D. Sums are equal, for example, for two messages nearest to each other if
    one neighbour counts. Of equal sums, the message that is first in lexicographic order of coordinates is taken, so
    the order of the devices does not matter. Requires N >= 2 f + 3; liars may send infinities and NaN. Robustness
    (Allouah et al. 2023, 2302.01772), a = f / (N - 2 f): kappa <= 6 (1 + a).
    """
    return take_devices(messages, best(messages, f, neighbours, 1)).squeeze(-2)


def best(messages: Tensor, f: int, neighbours: Neighbours, kept: int) -> Tensor:
    """The devices, (..., ``kept``), of the messages (..., N, D) with the least scores, in that order.

    In single precision a CPU first uses distances of this precision, and those in double precision where errors could
    change the choice.
    """
    rough = rough_distances(messages)
    if rough is None:
        return least(scores(squared_distances(centred(messages)[0]), f, neighbours), messages, kept)
    distances, sure = rough
    score, order = scores(distances, f, neighbours).sort(dim=-1, stable=True)
    if kept < messages.shape[-2]:
        sure &= score[..., kept] * (1 - ROUGH) > score[..., kept - 1] * (1 + ROUGH) + _UNDERFLOW
    chosen = order[..., :kept]
    if not sure.all():
        settled = messages[~sure]
        chosen[~sure] = least(scores(squared_distances(centred(settled)[0]), f, neighbours), settled, kept)
    return chosen


def scores(distances: Tensor, f: int, neighbours: Neighbours) -> Tensor:
    """The sums of the least squared distances to others, (..., N), from squared distances (..., N, N)."""
    others = distances.shape[-1] - f - (2 if neighbours == "n-f-2" else 1)
    return total(sort_devices(distances)[..., : max(others, 0) + 1, :])  # symmetric; own distance 0


def kappa(devices: int, f: int) -> float:
    """6 (1 + f / (N - 2 f)) (Allouah et al. 2023)."""
    return 6 * (1 + unevenness(devices, f))


ENTRY = Rule(krum, near_minority, kappa=kappa, title="Krum")
