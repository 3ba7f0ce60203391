"""Phocas (Xie et al., 2018, 1805.09682)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.kernels.order import mean_of_nearest, sort_devices

if TYPE_CHECKING:
    from torch import Tensor


def phocas(messages: Tensor, f: int) -> Tensor:
    """Per coordinate, the mean of the N - f values nearest to the trimmed mean.

    Shapes: (..., N, D) to (..., D). Cost: N log N D, one sort: the nearest values are a window of the sorted row;
    of two windows equally good, the lower one is taken. Bears f < N/2 liars, who may send infinities and NaN.
    Robustness (derived from the constant of the trimmed mean, a = f / (N - 2 f)):
    kappa <= 4 f / (N - f) (1 + 6 a (1 + a)).
    """
    ordered = sort_devices(messages)
    centre = ordered[..., f : ordered.shape[-2] - f, :].mean(dim=-2)
    return mean_of_nearest(ordered, centre, f)
