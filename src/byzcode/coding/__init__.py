"""What a device sends of what it holds: encoders, in one table.

``ENCODERS[name](held, subsets, **options)`` gives the weight of each held subset's gradient, (N, S).
"""

from collections.abc import Callable
from typing import Any

from byzcode.coding.replication import replication
from byzcode.coding.uniform import uniform

ENCODERS: dict[str, Callable[..., Any]] = {
    "uniform": uniform,
    "replication": replication,
}

__all__ = ["ENCODERS"]
