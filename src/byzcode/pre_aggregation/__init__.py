"""The table of pre-aggregators, which the server applies to the messages before its rule.

``PRE_AGGREGATORS[name](messages, f, draws, **options)`` maps messages (R, N, D) to (R, N', D). The rule then assumes
that at most f of these are lies.
"""

from byzcode.lazy import Table
from byzcode.pre_aggregation.pre_aggregator import PreAggregator

PRE_AGGREGATORS = Table(
    __name__,
    PreAggregator,
    (
        "none",
        "nnm",
        "bucketing",
        "clipping",
    ),
)

__all__ = ["PRE_AGGREGATORS", "PreAggregator"]
