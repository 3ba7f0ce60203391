"""What is learnt: problems, in one table.

``PROBLEMS[name](seeds, device, dtype, **options)`` builds R problems, one per seed; ``PROBLEMS[name].sizes(**options)``
says how many subsets, samples and parameters they have. :mod:`byzcode.problems.problem` says what a problem is made of,
what its entry says of it, and which of its options may differ within a batch.
"""

from collections.abc import Mapping

from byzcode.problems.linear_regression import LINEAR_REGRESSION
from byzcode.problems.problem import ALONG_RUNS, Known, Metric, Problem, ProblemKind, Sizes, Smooth, Solved, joined
from byzcode.problems.softmax_regression import SOFTMAX_REGRESSION

PROBLEMS: Mapping[str, ProblemKind] = {
    "linear_regression": LINEAR_REGRESSION,
    "softmax_regression": SOFTMAX_REGRESSION,
}

__all__ = ["ALONG_RUNS", "PROBLEMS", "Known", "Metric", "Problem", "ProblemKind", "Sizes", "Smooth", "Solved", "joined"]
