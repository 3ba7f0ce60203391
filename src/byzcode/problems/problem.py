"""The interface of a problem, its table entry, and how to join problems in a batch.

A new problem is a file with a class, a function that draws one problem per seed, and an entry, :class:`ProblemKind`.
The class has the methods of :class:`Problem` and is a frozen dataclass: its tensors have a leading axis of runs, and
all its other fields are the same in all runs of a batch. A real option may differ within a batch if its annotation
contains ALONG_RUNS, ``Annotated[float, Field(...), ALONG_RUNS]``; all fields that depend on it must then be tensors.
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
    """R problems of one shape, one per seed. ``forward`` computes what loss and gradients share."""

    def start(self) -> Tensor:
        """The first iterate, (R, D)."""

    def forward(self, theta: Tensor) -> Any:
        """The intermediate result at theta (R, D) that the methods below need."""

    def loss(self, forward: Any) -> Tensor:
        """F, (R,)."""

    def gradient(self, forward: Any) -> Tensor:
        """The gradient of F, (R, D)."""

    def heterogeneity(self, forward: Any, gradient: Tensor) -> Tensor:
        """betahat, (R,): the root mean squared distance of the gradients of the subsets from that of F."""

    def largest_heterogeneity(self, forward: Any, gradient: Tensor) -> Tensor:
        """The largest distance of the gradient of a subset from that of F, (R,)."""

    def relabelled(self, forward: Any) -> Any:
        """The result of ``forward`` if all labels were flipped: the other sign, or the opposite class."""

    def coded_gradients(self, forward: Any, code: Code) -> Tensor:
        """The messages of honest devices, (R, N, D)."""


class Drawing(Problem, Protocol):
    """A problem that may draw minibatches."""

    def drawn(self, iteration: int) -> Problem:
        """The problem on the minibatch of an iteration, or the problem itself if it uses all samples.

        The expectation of its gradients is that of this problem. The draw depends on seed, subset and iteration only,
        so all devices that hold a subset draw the same examples of it; otherwise exact codes could not be decoded.
        """


def minibatch(problem: Problem | Drawing, iteration: int) -> Problem:
    """The problem from which the devices compute their messages in an iteration."""
    # To ask with isinstance whether a problem is a Drawing takes as long as a matrix product.
    draw: Callable[[int], Problem] | None = getattr(problem, "drawn", None)
    return problem if draw is None else draw(iteration)


class Solved(Problem, Protocol):
    """A problem that knows its ``optimum``."""

    @property
    def optimum(self) -> Tensor:
        """The minimiser of F, (R, D)."""

    def excess_loss(self, forward: Any) -> Tensor:
        """F(theta) - min F, (R,)."""


class Smooth(Problem, Protocol):
    """A problem that knows its ``smoothness``."""

    @property
    def smoothness(self) -> Tensor:
        """L, or an upper bound on it, (R,)."""


class StronglyConvex(Problem, Protocol):
    """A problem that knows its ``strong_convexity``."""

    @property
    def strong_convexity(self) -> Tensor:
        """mu, or a lower bound on it, (R,); 0 if F is convex but not strongly convex."""


#: What a problem may know about its loss. It then has the members of :class:`Solved`, :class:`Smooth` or
#: :class:`StronglyConvex`, respectively.
Known = Literal["optimum", "smoothness", "strong_convexity"]
EVERYTHING: frozenset[Known] = frozenset({"optimum", "smoothness", "strong_convexity"})


class Sizes(NamedTuple):
    """The sizes of a problem, computed from its options without drawing it."""

    subsets: int  # M
    samples: int  # K, in all subsets together
    dimension: int  # D
    data: int  # numbers in the features of a seed
    memory: int  # the most numbers that a seed needs, in an iteration or while a batch is assembled
    rows: int = 1  # rows per subset that a coded gradient adds up


class Metric(NamedTuple):
    """A quantity that only this problem has, measured at each recorded iteration.

    ``measure(problem, forward)`` computes it, (R,), or it is one minus the metric ``one_minus``. A ``linear`` metric
    is drawn on a linear axis: it is between 0 and 1, more is better, and a diverged seed counts as 0. Any other metric
    is positive, and less is better.
    """

    measure: Callable[[Any, Any], Tensor] | None
    words: str
    symbol: str
    long_name: str
    units: str = "1"
    comment: str = ""
    linear: bool = False
    one_minus: str = ""


@dataclass(frozen=True)
class ProblemKind(Entry):
    """The table entry of a problem: ``problem(seeds, device, dtype, **options)`` builds R problems, one per seed.

    - ``sizes(**options)``: the sizes of each. Raises KeyedError if no problem has these options.
    - ``knows``: what the problem knows about its loss.
    - ``metrics``: its own quantities, by name.
    - ``tables``: for each option that names an entry of another table, that table.
    - ``modules``: the options that name a module of the user, as ``package.module:name``.
    """

    function: Callable[..., Problem]
    sizes: Callable[..., Sizes]
    knows: frozenset[Known] = EVERYTHING
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    def __call__(self, seeds: Sequence[int], device: str, dtype: str, **options: Any) -> Problem:
        """Build R problems, one per seed."""
        return self.function(seeds, device, dtype, **options)


P = TypeVar("P", bound=Problem)


def joined(problems: Sequence[P]) -> P:
    """Join problems in one: concatenate their tensors along the runs. All other fields must be equal.

    Raises ValueError if they are not, and TypeError if a problem is not a frozen dataclass or has attributes that are
    not fields.
    """
    first = problems[0]
    assigned = [_fields(problem) for problem in problems]
    if len(problems) == 1:
        return first
    return type(first)(**{name: _along_runs(name, [each[name] for each in assigned]) for name in assigned[0]})


def _fields(problem: Any) -> dict[str, Any]:
    """The fields of a problem that its constructor takes, by name; not the values cached from them."""
    kind = type(problem)
    if not (is_dataclass(problem) and kind.__dataclass_params__.frozen):
        raise TypeError(f"problem {kind.__name__} must be a frozen dataclass: a batch joins its fields")
    known = {each.name for each in fields(problem)}
    loose = [name for name in getattr(problem, "__dict__", {}) if name not in known and not hasattr(kind, name)]
    if loose:
        raise TypeError(f"problem {kind.__name__} has attributes that are not fields: {', '.join(loose)}")
    return {each.name: getattr(problem, each.name) for each in fields(problem) if each.init}


def _along_runs(name: str, values: Sequence[Any]) -> Any:
    if all(isinstance(value, torch.Tensor) for value in values):
        return torch.cat(list(values))
    if any(isinstance(value, torch.Tensor) for value in values) or not all(
        _equal(values[0], value) for value in values
    ):
        raise ValueError(f"{name} differs among the runs of a batch, but is not a tensor with an axis of runs")
    return values[0]


def _equal(first: Any, second: Any) -> bool:
    """Whether two values have the same type and are equal. Distinct arrays never are: == gives no single answer."""
    return type(first) is type(second) and (first is second or (first == second) is True)
