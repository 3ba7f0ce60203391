"""What the engine asks of a problem, and how problems become one batch.

A new problem needs a line in ``PROBLEMS``, and a class with the methods of :class:`Problem` that is a frozen dataclass:
its tensors have a leading axis of runs, and whatever else it holds is the same in all runs of a batch. A real option
may differ within a batch if its annotation says so, ``Annotated[float, Field(...), ALONG_RUNS]``; the class then holds
what depends on it in tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.kernels.gather import Code


class AlongRuns:
    """Marks an option that may differ among the runs of a batch."""


ALONG_RUNS: Final = AlongRuns()


class Problem(Protocol):
    """R problems of one shape, one a seed. ``forward`` does the work that loss and gradients share."""

    @property
    def smoothness(self) -> Tensor:
        """L, (R,)."""

    @property
    def strong_convexity(self) -> Tensor:
        """mu, (R,); 0 where F is not strongly convex."""

    @property
    def optimum(self) -> Tensor:
        """Where F is least, (R, D)."""

    def start(self) -> Tensor:
        """The first iterate, (R, D)."""

    def forward(self, theta: Tensor) -> Any:
        """What the methods below need of theta (R, D)."""

    def loss(self, forward: Any) -> Tensor:
        """F, (R,)."""

    def gradient(self, forward: Any) -> Tensor:
        """The gradient of F, (R, D)."""

    def excess_loss(self, forward: Any) -> Tensor:
        """F(theta) - min F, (R,)."""

    def heterogeneity(self, forward: Any, gradient: Tensor) -> Tensor:
        """The root mean squared distance of the gradients of the subsets from that of F (betahat), (R,)."""

    def largest_heterogeneity(self, forward: Any, gradient: Tensor) -> Tensor:
        """The largest distance of the gradient of a subset from that of F, (R,)."""

    def relabelled(self, forward: Any) -> Any:
        """What ``forward`` would be had every label the other sign (or the class opposite to its own)."""

    def coded_gradients(self, forward: Any, code: Code) -> Tensor:
        """The messages of honest devices, (R, N, D)."""


P = TypeVar("P", bound=Problem)


def joined(problems: Sequence[P]) -> P:
    """One problem of the runs of several: their tensors, one after the other. All else must be the same in all.

    Raises ValueError where it is not, and TypeError where a problem is no frozen dataclass or holds what is no field.
    """
    first = problems[0]
    held = [_fields(problem) for problem in problems]
    if len(problems) == 1:
        return first
    return type(first)(**{name: _along_runs(name, [each[name] for each in held]) for name in held[0]})


def _fields(problem: Any) -> dict[str, Any]:
    """What a problem is made of, by name; not what it works out from that."""
    kind = type(problem)
    if not (is_dataclass(problem) and kind.__dataclass_params__.frozen):
        raise TypeError(f"problem {kind.__name__} must be a frozen dataclass: a batch joins its fields")
    known = {field.name for field in fields(problem)}
    loose = [name for name in getattr(problem, "__dict__", {}) if name not in known and not hasattr(kind, name)]
    if loose:
        raise TypeError(f"problem {kind.__name__} holds {', '.join(loose)}, of which it has no field")
    return {field.name: getattr(problem, field.name) for field in fields(problem) if field.init}


def _along_runs(name: str, values: Sequence[Any]) -> Any:
    if all(isinstance(value, torch.Tensor) for value in values):
        return torch.cat(list(values))
    if any(isinstance(value, torch.Tensor) for value in values) or not all(
        _equal(values[0], value) for value in values
    ):
        raise ValueError(f"{name} differs among the runs of a batch, and is no tensor with an axis of runs")
    return values[0]


def _equal(one: Any, other: Any) -> bool:
    """Whether values are of one type and equal; arrays, whose comparison has no single answer, never are."""
    return type(one) is type(other) and (one is other or (one == other) is True)
