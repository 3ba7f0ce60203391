"""What the server makes of the messages: robust aggregation rules, in one table.

``RULES[name](messages, f, **options)`` maps messages (..., N, D) and the number of liars f to (..., D).
"""

from byzcode.aggregation.bulyan import bulyan
from byzcode.aggregation.centered_clipping import centered_clipping
from byzcode.aggregation.geometric_median import geometric_median
from byzcode.aggregation.krum import krum
from byzcode.aggregation.meamed import meamed
from byzcode.aggregation.mean import mean
from byzcode.aggregation.median import median
from byzcode.aggregation.multi_krum import multi_krum
from byzcode.aggregation.norm_trimming import norm_trimming
from byzcode.aggregation.phocas import phocas
from byzcode.aggregation.rule import Rule, everyone, minority, near_minority, quarter
from byzcode.aggregation.trimmed_mean import trimmed_mean

#: name: the rule, how many liars it bears among N devices, and which properties it lacks.
RULES: dict[str, Rule] = {
    "mean": Rule(mean, everyone, lacks=frozenset({"agreement"})),
    "median": Rule(median, minority),
    "trimmed_mean": Rule(trimmed_mean, minority),
    "phocas": Rule(phocas, minority),
    "meamed": Rule(meamed, minority),
    "geometric_median": Rule(geometric_median, minority),
    "krum": Rule(krum, near_minority),
    "multi_krum": Rule(multi_krum, near_minority),
    "bulyan": Rule(bulyan, quarter),
    "centered_clipping": Rule(centered_clipping, minority, lacks=frozenset({"translation", "scale", "agreement"})),
    "norm_trimming": Rule(norm_trimming, minority, lacks=frozenset({"translation", "agreement"})),
}

__all__ = ["RULES", "Rule"]
