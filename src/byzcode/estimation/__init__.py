"""The table of estimators of f, for a server that does not know how many devices lie.

``ESTIMATORS[name](messages)`` maps messages (R, N, D) to a suspicion of each, (R, N); its ``count`` maps suspicions to
estimates of f, (R,).
"""

from byzcode.estimation.estimator import Estimator
from byzcode.lazy import Table

ESTIMATORS = Table(
    __name__,
    Estimator,
    (
        "none",
        "largest_gap",
        "near_scores",
        "two_groups",
        "remembered_scores",
    ),
)

__all__ = ["ESTIMATORS", "Estimator"]
