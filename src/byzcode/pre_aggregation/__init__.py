"""What the server does to the messages in front of its rule, in one table.

``PRE_AGGREGATORS[name](messages, f, draws, **options)`` maps messages (R, N, D) to (R, N', D), of which the rule then
takes at most f for lies.
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
