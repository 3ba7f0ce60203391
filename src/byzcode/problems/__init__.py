"""What is learnt: problems, in one table.

``PROBLEMS[name](seeds, device, dtype, **options)`` builds R problems, one a seed. Every problem has an option
``subsets``, the number M of data subsets, and ``dimension``, the number D of parameters.
:mod:`byzcode.problems.problem` says what a problem is made of, and which of its options may differ within a batch.
"""

from collections.abc import Callable

from byzcode.problems.linear_regression import linear_regression
from byzcode.problems.problem import ALONG_RUNS, Problem, joined

PROBLEMS: dict[str, Callable[..., Problem]] = {
    "linear_regression": linear_regression,
}

__all__ = ["ALONG_RUNS", "PROBLEMS", "Problem", "joined"]
