"""Outliers among the scores of nearest neighbour mixing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.estimation.estimator import Estimator, most, outstanding
from byzcode.kernels.distances import centred, squared_distances

if TYPE_CHECKING:
    from torch import Tensor


def near_scores(messages: Tensor) -> Tensor:
    """The root mean squared distance of each message to the nearest majority, itself among them.

    This is the score by which nearest neighbour mixing and Krum choose, for the largest f that they allow. Shapes:
    (R, N, D) to (R, N). Cost: N^2 D.
    """
    away, _ = centred(messages)
    devices = messages.shape[-2]
    squares = squared_distances(away).topk(devices - most(devices), dim=-1, largest=False).values
    return squares.mean(dim=-1).sqrt()


ENTRY = Estimator(near_scores, outstanding, title="outliers among NNM scores")
