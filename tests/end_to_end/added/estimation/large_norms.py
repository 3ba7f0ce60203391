"""Outliers among norms, as an example of an added estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.estimation.estimator import Estimator, outstanding
from byzcode.kernels.distances import centred, norms

if TYPE_CHECKING:
    from torch import Tensor


def large_norms(messages: Tensor) -> Tensor:
    """The norm of each message, from the median. Shapes: (R, N, D) to (R, N). Cost: N log N D."""
    return norms(centred(messages)[0])


ENTRY = Estimator(large_norms, outstanding)
