"""The same scores, averaged over iterations for devices that keep their identities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.estimation.estimator import Estimator, outstanding
from byzcode.estimation.near_scores import near_scores
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def remembered_scores(messages: Tensor) -> Tensor:
    """The scores of :mod:`byzcode.estimation.near_scores` over their median, so that all iterations count alike.

    The mean over iterations separates liars that lie a little each time. It helps only if the same devices lie in all
    iterations. Shapes: (R, N, D) to (R, N). Cost: N^2 D.
    """
    scores = near_scores(messages)
    ratio = scores / scores.median(dim=-1, keepdim=True).values
    return ratio.nan_to_num(nan=1.0, posinf=torch.inf)  # if half of the messages are equal or none is finite


ENTRY = Estimator(remembered_scores, outstanding, remembers=True, title="outliers among mean NNM scores")
