"""The type of a schedule: a function of the iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from byzcode.lazy import Entry


@dataclass(frozen=True)
class Schedule(Entry):
    """``schedule(iteration, iterations, **options)`` is the factor of the step in an iteration."""

    function: Callable[..., float]

    def __call__(self, iteration: int, iterations: int, **options: Any) -> float:
        """The factor; see the class."""
        return self.function(iteration, iterations, **options)
