"""What the server makes of the messages: robust aggregation rules, in one table.

``RULES[name](messages, f, **options)`` maps messages (..., N, D) and the number of liars f to (..., D).
"""

from byzcode.aggregation.mean import mean
from byzcode.aggregation.median import median
from byzcode.aggregation.phocas import phocas
from byzcode.aggregation.rule import Rule, everyone, minority
from byzcode.aggregation.trimmed_mean import trimmed_mean

#: name: the rule and how many liars it bears among N devices.
RULES: dict[str, Rule] = {
    "mean": Rule(mean, everyone),
    "median": Rule(median, minority),
    "trimmed_mean": Rule(trimmed_mean, minority),
    "phocas": Rule(phocas, minority),
}

__all__ = ["RULES", "Rule"]
