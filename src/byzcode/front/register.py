"""Parts of one's own, for the life of a process: attacks, rules, compressors, problems and data sets.

A decorator puts a function into the table of its kind. The name of the function is then a name like any other: in
``byzcode.train``, in a study, in the calls on messages. The keyword-only parameters of a function are its options; each
has an annotation and a default, and is checked like the options of other parts.

A part's identity is its source and the values that it uses (:mod:`byzcode.front.identity`). It enters that of the runs
that name it: a stored run is used again only if the part is still the same.

>>> import byzcode as bz, numpy as np
>>> @bz.register.attack
... def shifted_mean(messages, threat, draws, *, shift: float = 1.0):
...     return threat.replace(messages, threat.of_honest(messages).mean(dim=-2, keepdim=True) + shift)
>>> bz.attack("shifted_mean", np.array([[1.0], [2.0], [3.0]]), liars=[0], shift=10).tolist()
[[12.5], [2.0], [3.0]]
>>> bz.register.forget("shifted_mean")
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar, get_args, overload

import numpy as np

from byzcode.aggregation import Rule
from byzcode.aggregation import rule as rules
from byzcode.aggregation.rule import Constant, minority
from byzcode.attacks import Attack
from byzcode.attacks import attack as attacks
from byzcode.attacks.attack import Knowledge
from byzcode.compression import Compressor
from byzcode.data import DataSet
from byzcode.errors import UserError
from byzcode.front import returned, tables
from byzcode.problems import Known, Metric, ProblemKind, Sizes

F = TypeVar("F", bound=Callable[..., Any])
Refuses = Callable[..., tuple[str, str] | None]


@overload
def attack(function: F, /) -> F: ...
@overload
def attack(
    *,
    name: str | None = None,
    title: str = "",
    knows: Collection[Knowledge] = (),
    refuses: Refuses = attacks.never,
) -> Callable[[F], F]: ...
def attack(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    title: str = "",
    knows: Collection[Knowledge] = frozenset(get_args(Knowledge)),
    refuses: Refuses = attacks.never,
) -> Any:
    """Register ``attack(messages, threat, draws, *, options)``: honest messages (R, N, D) to received ones.

    ``threat`` says who lies, and what liars may know: ``threat.of_honest(messages)``, ``threat.of_liars(messages)``,
    ``threat.replace(messages, lies)``, ``threat.aggregate(messages)``. ``draws.normal(f, D)`` and
    ``draws.uniform(f, D)`` are random numbers (R, f, D). ``refuses(N, **options)`` returns an option that does not fit
    N devices and what is allowed, else None. Raises UserError.
    """
    return tables.registering(
        "attack",
        function,
        name,
        ("messages", "threat", "draws"),
        lambda called, own: (
            Attack(returned.attack(called, own), frozenset(knows), refuses, title=title),
            {"refuses": refuses},
        ),
    )


@overload
def rule(function: F, /) -> F: ...
@overload
def rule(
    *,
    name: str | None = None,
    title: str = "",
    most_liars: Callable[[int], int] = minority,
    kappa: Constant | None = None,
    refuses: Refuses = rules.never,
) -> Callable[[F], F]: ...
def rule(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    title: str = "",
    most_liars: Callable[[int], int] = minority,
    kappa: Constant | None = None,
    refuses: Refuses = rules.never,
) -> Any:
    """Register ``rule(messages, f, *, options)``: messages (..., N, D) and the number f of liars to (..., D).

    ``most_liars(N)`` is the greatest f that the rule accepts, below N / 2 if left out. ``kappa(N, f)`` is its
    robustness constant, for bounds. ``refuses(N, f, **options)`` is as for attacks. Raises UserError.

    >>> import byzcode as bz, numpy as np
    >>> @bz.register.rule(most_liars=lambda devices: devices - 1)
    ... def smallest(messages, f):
    ...     return messages.amin(dim=-2)
    >>> bz.aggregate("smallest", np.array([[1.0, 5.0], [2.0, 3.0]]), f=1)
    array([1., 3.])
    >>> bz.register.forget("smallest")
    """
    return tables.registering(
        "rule",
        function,
        name,
        ("messages", "f"),
        lambda called, own: (
            Rule(returned.rule(called, own), most_liars, kappa=kappa, refuses=refuses, title=title),
            {"most_liars": most_liars, "refuses": refuses},
        ),
    )


@overload
def compressor(function: F, /) -> F: ...
@overload
def compressor(
    *,
    name: str | None = None,
    title: str = "",
    delta: Callable[..., float] | None = None,
    unbiased: bool = False,
    bits: Callable[..., int] | None = None,
) -> Callable[[F], F]: ...
def compressor(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    title: str = "",
    delta: Callable[..., float] | None = None,
    unbiased: bool = False,
    bits: Callable[..., int] | None = None,
) -> Any:
    """Register ``compressor(messages, draws, number_bits, *, options)``: messages (R, N, D) to messages and their bits.

    It returns a pair: the messages as the server reads them, and the bits of each, a number or a tensor (R, N).
    ``draws.for_messages(messages)`` are uniform numbers of the same shape. ``delta(D, **options)`` bounds
    E ||C(x) - x||^2 / ||x||^2, for bounds; infinite if left out. ``bits(D, number_bits, **options)`` is the length of a
    message where it is fixed. Raises UserError.
    """
    return tables.registering(
        "compressor",
        function,
        name,
        ("messages", "draws", "number_bits"),
        lambda called, own: (
            Compressor(
                returned.compressor(called, own), delta or _unbounded, unbiased=unbiased, bits=bits, title=title
            ),
            {},
        ),
    )


@overload
def problem(function: F, /) -> F: ...
@overload
def problem(
    *,
    sizes: Callable[..., Sizes],
    name: str | None = None,
    title: str = "",
    knows: Collection[Known] = (),
    metrics: Mapping[str, Metric] | None = None,
) -> Callable[[F], F]: ...
def problem(
    function: Any = None,
    /,
    *,
    sizes: Callable[..., Sizes] | None = None,
    name: str | None = None,
    title: str = "",
    knows: Collection[Known] = (),
    metrics: Mapping[str, Metric] | None = None,
) -> Any:
    """Register ``problem(seeds, device, dtype, *, options)``, which makes R problems, one per seed.

    They are a :class:`byzcode.problems.Problem`: a frozen dataclass whose tensors have a leading axis of runs.
    ``sizes(**options)`` is a :class:`byzcode.problems.Sizes`, and is required. ``knows`` names what the problem knows
    of its loss: "optimum", "smoothness", "strong_convexity". ``metrics`` are its own quantities, by name.
    CONTRIBUTING.md has an example. Raises UserError.
    """
    if sizes is None:
        raise UserError("register.problem: sizes = None: this key is required; allowed: a function of the options")
    own_metrics = dict(metrics or {})
    return tables.registering(
        "problem",
        function,
        name,
        ("seeds", "device", "dtype"),
        lambda called, own: (
            ProblemKind(returned.problem(called, own), sizes, knows=frozenset(knows), metrics=own_metrics, title=title),
            {
                "sizes": sizes,
                "knows": sorted(knows),
                "metrics": {key: each.measure for key, each in own_metrics.items()},
            },
        ),
    )


@overload
def data(function: F, /) -> F: ...
@overload
def data(
    *,
    name: str | None = None,
    title: str = "",
    shape: Sequence[int] = (),
    source: str = "",
    licence: str = "",
) -> Callable[[F], F]: ...
def data(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    title: str = "",
    shape: Sequence[int] = (),
    source: str = "",
    licence: str = "",
) -> Any:
    """Register a data set: a function that returns training and test examples, each (features, labels).

    Features are (n, d), labels (n,): whole numbers from 0 are classes, floating-point numbers are targets of a
    regression. The function is called once, now; its numbers are part of the identity of the data set. ``shape`` is
    that of an example for models that need it, such as (1, 28, 28). Raises UserError.

    >>> import byzcode as bz, numpy as np
    >>> @bz.register.data
    ... def two_clouds():
    ...     labels = np.arange(60) % 2
    ...     features = np.random.default_rng(0).normal(size=(60, 3)) + labels[:, None]
    ...     return (features[:40], labels[:40]), (features[40:], labels[40:])
    >>> run = bz.train(method="rba_dl", problem={"name": "softmax_regression", "data": "two_clouds", "subsets": 10},
    ...                devices=10, aggregation="median", iterations=20, seeds=1)
    >>> run["test_accuracy"].dims
    ('seed', 'iteration')
    >>> bz.register.forget("two_clouds")
    """

    def made(called: Callable[..., Any], own: str) -> tuple[DataSet, dict[str, Any]]:
        split = returned.split(called, own)
        labels = split.training.labels
        classes = int(max(labels.max(), split.test.labels.max())) + 1 if labels.dtype.kind in "iu" else 0
        features = split.training.features.shape[1]
        if shape and int(np.prod(shape)) != features:
            raise UserError(f"register.data {own}: shape = {tuple(shape)}: allowed: sizes whose product is {features}")
        sizes = {"training": len(labels), "test": len(split.test.labels), "features": features, "classes": classes}
        entry = DataSet(lambda: split, **sizes, shape=tuple(shape), title=title, source=source, licence=licence)
        return entry, {"examples": split, "shape": tuple(shape)}

    return tables.registering("data", function, name, (), made)


def forget(*names: str) -> None:
    """Take parts out of the tables again, by their names; all that were registered if none is given. Raises UserError.

    >>> import byzcode as bz
    >>> bz.register.forget("median")
    Traceback (most recent call last):
    byzcode.errors.UserError: register.forget: 'median' is not registered
    """
    tables.remove(names)


def _unbounded(dimension: int, **options: Any) -> float:
    return float("inf")
