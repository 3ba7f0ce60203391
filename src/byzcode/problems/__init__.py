"""The learning problems, in one table.

``PROBLEMS[name](seeds, device, dtype, **options)`` builds R problems, one per seed; ``PROBLEMS[name].sizes(**options)``
gives their numbers of subsets, samples and parameters. :mod:`byzcode.problems.problem` describes the members of a
problem, its table entry, and the options that may differ within a batch.
"""

from byzcode.lazy import Table
from byzcode.problems.problem import (
    ALONG_RUNS,
    Known,
    Metric,
    Problem,
    ProblemKind,
    Sizes,
    Smooth,
    Solved,
    joined,
    minibatch,
)

PROBLEMS = Table(
    __name__,
    ProblemKind,
    (
        "linear_regression",
        "softmax_regression",
        "least_squares",
        "mlp",
        "cnn",
        "module",
    ),
)

__all__ = [
    "ALONG_RUNS",
    "PROBLEMS",
    "Known",
    "Metric",
    "Problem",
    "ProblemKind",
    "Sizes",
    "Smooth",
    "Solved",
    "joined",
    "minibatch",
]
