"""Phocas (Xie et al., 2018, 1805.09682)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byzcode.aggregation import trimmed_mean
from byzcode.aggregation.rule import Rule, minority, near, unevenness
from byzcode.kernels import order
from byzcode.kernels.distances import norms

if TYPE_CHECKING:
    from torch import Tensor

Variant = Annotated[
    Literal["coordinate", "vector"],
    Field(description="Whether values of each coordinate, or whole messages, are chosen near the trimmed mean."),
]


def phocas(messages: Tensor, f: int, *, variant: Variant = "coordinate") -> Tensor:
    """The mean of the N - f values nearest to the trimmed mean, per coordinate; or that of the N - f nearest messages.

    Shapes: (..., N, D) to (..., D). Cost: N log N D, one sort: the nearest values are a window of the sorted row;
    of two equally good windows, the lower one is taken. Variant "vector", as in the code of Dong et al. (2307.07980),
    drops the f messages farthest from the trimmed mean; of messages equally far, those that are first in lexicographic
    order of coordinates are kept. Neither variant depends on the order of the devices. Tolerates f < N/2 liars, who may
    send infinities and NaN. Robustness of both (derived from the constant of the trimmed mean, a = f / (N - 2 f)):
    kappa <= 4 f / (N - f) (1 + 6 a (1 + a)).
    """
    if variant == "coordinate":
        return order.mean_near_trimmed_mean(messages, f)
    away = messages - order.trimmed_mean(messages, f).unsqueeze(-2)
    return order.mean_of_least(messages, norms(away), messages.shape[-2] - f)


#: From the sharp constant of the trimmed mean, the sharp constant is 4 f / (N - 2 f).
ENTRY = Rule(phocas, minority, kappa=near(trimmed_mean.kappa), sharp_kappa=near(unevenness), jumps=True, title="Phocas")
