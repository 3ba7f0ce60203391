"""What training needs of a problem, what the table says of it, and how problems become one batch.

A new problem is a file with a class, a function that draws one problem per seed, and an entry, :class:`ProblemKind`.
The class has the methods of :class:`Problem` and is a frozen dataclass: its tensors have a leading axis of runs, and
whatever else it holds is the same in all runs of a batch. A real option may differ within a batch if its annotation
says so, ``Annotated[float, Field(...), ALONG_RUNS]``; the class then holds what depends on it in tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeVar

from byzcode.lazy import Entry, torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.kernels.gather import Code


class AlongRuns:
    """Marks an option that may differ among the runs of a batch."""


ALONG_RUNS: Final = AlongRuns()


class Problem(Protocol):
    """R problems of one shape, one per seed. ``forward`` does the work that loss and gradients share."""

    def start(self) -> Tensor:
        """The first iterate, (R, D)."""

    def forward(self, theta: Tensor) -> Any:
        """What the methods below need of theta (R, D)."""

    def loss(self, forward: Any) -> Tensor:
        """F, (R,)."""

    def gradient(self, forward: Any) -> Tensor:
        """The gradient of F, (R, D)."""

    def heterogeneity(self, forward: Any, gradient: Tensor) -> Tensor:
        """The root mean squared distance of the gradients of the subsets from that of F (betahat), (R,)."""

    def largest_heterogeneity(self, forward: Any, gradient: Tensor) -> Tensor:
        """The largest distance of the gradient of a subset from that of F, (R,)."""

    def relabelled(self, forward: Any) -> Any:
        """What ``forward`` would be had every label the other sign (or the class opposite to its own)."""

    def coded_gradients(self, forward: Any, code: Code) -> Tensor:
        """The messages of honest devices, (R, N, D)."""


class Solved(Problem, Protocol):
    """A problem that knows its ``optimum``."""

    @property
    def optimum(self) -> Tensor:
        """Where F is least, (R, D)."""

    def excess_loss(self, forward: Any) -> Tensor:
        """F(theta) - min F, (R,)."""


class Smooth(Problem, Protocol):
    """A problem that knows its ``smoothness``."""

    @property
    def smoothness(self) -> Tensor:
        """L, or a bound on it from above, (R,)."""


class StronglyConvex(Problem, Protocol):
    """A problem that knows its ``strong_convexity``."""

    @property
    def strong_convexity(self) -> Tensor:
        """mu, or a bound on it from below, (R,); 0 where F is convex, and not strongly so."""


#: What a problem may know of its loss. It then has the members of :class:`Solved`, :class:`Smooth` and
#: :class:`StronglyConvex`.
Known = Literal["optimum", "smoothness", "strong_convexity"]
EVERYTHING: frozenset[Known] = frozenset({"optimum", "smoothness", "strong_convexity"})


class Sizes(NamedTuple):
    """How large a problem is, by its options alone."""

    subsets: int  # M
    samples: int  # K, in all subsets together
    dimension: int  # D
    data: int  # numbers in the features of a seed
    memory: int  # numbers that a seed takes at most in an iteration, or while a batch is put together
    rows: int = 1  # rows that a coded gradient adds per subset


class Metric(NamedTuple):
    """A quantity of a problem's own, measured at each recorded iteration.

    ``measure(problem, forward)`` gives it, (R,). ``linear`` draws it on a linear axis; it is then a number between 0
    and 1, and more is better: a seed that diverged has 0 of it. Else it is positive, and less is better.
    """

    measure: Callable[[Any, Any], Tensor]
    words: str
    symbol: str
    long_name: str
    units: str = "1"
    comment: str = ""
    linear: bool = False


@dataclass(frozen=True)
class ProblemKind(Entry):
    """The table entry of a problem: ``problem(seeds, device, dtype, **options)`` builds R problems, one per seed.

    - ``sizes(**options)``: how large they are. Raises KeyedError for options that make no problem.
    - ``knows``: what is known of the loss.
    - ``metrics``: quantities of its own, by name.
    - ``tables``: by option, the table of which the option names an entry.
    """

    function: Callable[..., Problem]
    sizes: Callable[..., Sizes]
    knows: frozenset[Known] = EVERYTHING
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)

    def __call__(self, seeds: Sequence[int], device: str, dtype: str, **options: Any) -> Problem:
        """R problems, one per seed."""
        return self.function(seeds, device, dtype, **options)


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
    known = {each.name for each in fields(problem)}
    loose = [name for name in getattr(problem, "__dict__", {}) if name not in known and not hasattr(kind, name)]
    if loose:
        raise TypeError(f"problem {kind.__name__} holds {', '.join(loose)}, of which it has no field")
    return {each.name: getattr(problem, each.name) for each in fields(problem) if each.init}


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
