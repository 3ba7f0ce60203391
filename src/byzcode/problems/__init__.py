"""What is learnt: problems, in one table.

``PROBLEMS[name](seeds, device, dtype, **options)`` builds R problems, one per seed; ``PROBLEMS[name].sizes(**options)``
says how many subsets, samples and parameters they have. :mod:`byzcode.problems.problem` says what a problem is made of,
what its entry says of it, and which of its options may differ within a batch.
"""

from byzcode.lazy import Table
from byzcode.problems.problem import ALONG_RUNS, Known, Metric, Problem, ProblemKind, Sizes, Smooth, Solved, joined

PROBLEMS = Table(
    __name__,
    ProblemKind,
    (
        "linear_regression",
        "softmax_regression",
    ),
)

__all__ = ["ALONG_RUNS", "PROBLEMS", "Known", "Metric", "Problem", "ProblemKind", "Sizes", "Smooth", "Solved", "joined"]
