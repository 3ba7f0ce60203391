"""What the server does to the messages in front of its rule, in one table.

``PRE_AGGREGATORS[name](messages, f, draws, **options)`` maps messages (R, N, D) to (R, N', D), of which the rule then
takes at most f for lies.
"""

from byzcode.pre_aggregation.bucketing import bucketing, buckets
from byzcode.pre_aggregation.clipping import clipping
from byzcode.pre_aggregation.nnm import nnm
from byzcode.pre_aggregation.none import none
from byzcode.pre_aggregation.pre_aggregator import PreAggregator

#: name: the pre-aggregator, how many messages it leaves of N, and which properties it lacks.
PRE_AGGREGATORS: dict[str, PreAggregator] = {
    "none": PreAggregator(none),
    "nnm": PreAggregator(nnm),
    "bucketing": PreAggregator(bucketing, left=buckets, lacks=frozenset({"order"})),
    "clipping": PreAggregator(clipping, lacks=frozenset({"translation"})),
}

__all__ = ["PRE_AGGREGATORS", "PreAggregator"]
