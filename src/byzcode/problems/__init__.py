"""What is learnt: problems, in one table.

``PROBLEMS[name](seeds, device, dtype, **options)`` builds R problems, one a seed. Every problem has an option
``subsets``, the number M of data subsets, and ``dimension``, the number D of parameters.
"""

from collections.abc import Callable

from byzcode.problems.linear_regression import linear_regression
from byzcode.problems.problem import Problem

PROBLEMS: dict[str, Callable[..., Problem]] = {
    "linear_regression": linear_regression,
}

__all__ = ["PROBLEMS", "Problem"]
