"""The table of robust aggregation rules, by which the server combines the messages.

``RULES[name](messages, f, **options)`` maps messages (..., N, D) and the number f of Byzantine devices (liars) to
(..., D).
"""

from byzcode.aggregation.rule import Rule
from byzcode.lazy import Table

RULES = Table(
    __name__,
    Rule,
    (
        "mean",
        "median",
        "trimmed_mean",
        "phocas",
        "meamed",
        "geometric_median",
        "krum",
        "multi_krum",
        "bulyan",
        "centered_clipping",
        "norm_trimming",
    ),
)

__all__ = ["RULES", "Rule"]
