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

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

import numpy as np
from pydantic import PydanticUserError

from byzcode.aggregation import RULES, Rule
from byzcode.aggregation import rule as rules
from byzcode.aggregation.rule import Constant, minority
from byzcode.attacks import ATTACKS, Attack
from byzcode.attacks import attack as attacks
from byzcode.attacks.attack import Knowledge
from byzcode.compression import COMPRESSORS, Compressor
from byzcode.data import DATA_SETS, DataSet
from byzcode.errors import UserError
from byzcode.front import returned
from byzcode.front.identity import parts_of
from byzcode.lazy import ENTRY, Table
from byzcode.problems import PROBLEMS, Known, Metric, ProblemKind, Sizes
from byzcode.provenance import registered
from byzcode.specs.components import Choice, Component, _model
from byzcode.specs.run import RunSpec
from byzcode.studies.fields import _FIELDS as _FIELDS_ALONE
from byzcode.studies.fields import _meaning_of
from byzcode.studies.layers import MODELS

if TYPE_CHECKING:
    pass

F = TypeVar("F", bound=Callable[..., Any])
Refuses = Callable[..., tuple[str, str] | None]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")

#: The field of a run that names a part of a table; data sets are named by an option of a problem.
_FIELDS: Mapping[str, Table[Any]] = {
    "aggregation": RULES,
    "attack": ATTACKS,
    "compression": COMPRESSORS,
    "problem": PROBLEMS,
}
_KINDS: Mapping[str, Table[Any]] = {
    "attack": ATTACKS,
    "rule": RULES,
    "compressor": COMPRESSORS,
    "problem": PROBLEMS,
    "data": DATA_SETS,
}


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
    return _decorator(
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
    return _decorator(
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
    return _decorator(
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
    return _decorator(
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

    return _decorator("data", function, name, (), made)


def forget(*names: str) -> None:
    """Take parts out of the tables again, by their names; all that were registered if none is given. Raises UserError.

    >>> import byzcode as bz
    >>> bz.register.forget("median")
    Traceback (most recent call last):
    byzcode.errors.UserError: register.forget: 'median' is not registered
    """
    known = {name: table for table in _KINDS.values() for name in table.added}
    for name in names or list(known):
        if name not in known:
            raise UserError(f"register.forget: {name!r} is not registered")
    for table in _KINDS.values():
        for name in [name for name in table.added if not names or name in names]:
            registered.forget(_root(table, name))
            table.remove(name)
    _renew()


# --- the tables ------------------------------------------------------------------------------------------------------


def _decorator(
    kind: str,
    function: Any,
    name: str | None,
    positional: Sequence[str],
    make: Callable[[Callable[..., Any], str], tuple[Any, dict[str, Any]]],
) -> Any:
    """Register a function, or return the decorator that does so. The function itself is returned unchanged."""

    def register(function: F) -> F:
        where = f"register.{kind}"
        if not isinstance(function, FunctionType):
            raise UserError(f"{where}: {function!r} is a {type(function).__name__}; allowed: a function with a source")
        own = name or function.__name__
        table = _KINDS[kind]
        if not _NAME.fullmatch(own):
            allowed = "allowed: small letters, digits and _, a letter first; name= gives another"
            raise UserError(f"{where}: name = {own!r}: {allowed}")
        if own in table and own not in table.added:
            raise UserError(f"{where}: name = {own!r}: byzcode has a {kind} of this name; name= gives another")
        _check_signature(function, f"{where} {own}", positional)
        parts = partial(parts_of, {"function": function}, f"registered {kind} {own}")
        parts()  # what has no source is refused before anything is computed
        entry, uses = make(function, own)
        whole = partial(parts_of, {"function": function, **uses}, f"registered {kind} {own}")
        whole()
        before = table.added.get(own)
        table.add(own, entry)
        registered.keep(_root(table, own), whole)
        try:
            _renew()
        except (NameError, TypeError, ValueError, PydanticUserError) as error:
            registered.forget(_root(table, own))
            table.remove(own) if before is None else table.add(own, before)
            _renew()
            raise UserError(f"{where} {own}: its options cannot be read: {str(error).partition(chr(10))[0]}") from None
        return function

    return register if function is None else register(function)


def _root(table: Table[Any], name: str) -> str:
    return f"{table.module(name)}:{ENTRY}"


def _check_signature(function: FunctionType, where: str, positional: Sequence[str]) -> None:
    """Raise UserError if a function does not take what its kind is given, or has options that cannot be checked."""
    shape = f"({', '.join([*positional, '*', 'option: type = default'])})" if positional else "without parameters"
    parameters = inspect.signature(function).parameters.values()
    given = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    loose = [each for each in parameters if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    options = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
    if len(given) != len(positional) or loose or (options and not positional):
        raise UserError(f"{where}: takes {inspect.signature(function)}; allowed: a function {shape}")
    for option in options:
        if option.annotation is option.empty or option.default is option.empty or option.name == "name":
            allowed = "an annotation, a default, and another name than 'name'"
            raise UserError(f"{where}: option {option.name}: allowed: {allowed}")


class _Grown(Choice):
    """A choice with the entries that were added to its table. The models of all others stay the same objects.

    It is in this file, so that what it is for is no part of the identity of all runs.
    """

    def __init__(self, first: Choice, added: Mapping[str, type[Component]]) -> None:
        self.models = [*first.models, *added.values()]
        self.table, self._names, self._kind = first.table, (*first._names, *added), first._kind


#: The choices as they were when this module was loaded, and the models of what was added, with their entries.
_FIRST: dict[str, Choice] = {
    field: next(each for each in RunSpec.model_fields[field].metadata if isinstance(each, Choice)) for field in _FIELDS
}
_ADDED: dict[tuple[str, str], tuple[Any, type[Component]]] = {}


def _renew() -> None:
    """Let runs name what the tables have now."""
    for problem in _FIRST["problem"].models:
        _renew_data(problem)
    for field, first in _FIRST.items():
        added: dict[str, type[Component]] = {}
        for name, entry in _FIELDS[field].added.items():
            before = _ADDED.get((field, name))
            if before is None or before[0] is not entry:
                _ADDED[field, name] = entry, _model(name, entry)
            added[name] = _ADDED[field, name][1]
        for name in [name for of, name in MODELS if of == field and name not in first.table]:
            del MODELS[field, name]
        MODELS.update({(field, name): model for name, model in added.items()})
        for model in (RunSpec, _FIELDS_ALONE):
            about = model.model_fields[field].metadata
            about[:] = [_Grown(first, added) if isinstance(each, Choice) else each for each in about]
    for model in (RunSpec, _FIELDS_ALONE):
        model.model_rebuild(force=True)
    _meaning_of.cache_clear()


def _renew_data(model: type[Component]) -> None:
    """Let the option of a problem that names a data set take what the table has now."""
    tables = PROBLEMS[model.model_fields["name"].default].tables
    for option, table in tables.items():
        if table is not DATA_SETS:
            continue
        about = model.model_fields[option]
        shipped = [name for name in get_args(about.annotation) if name in DATA_SETS and name not in DATA_SETS.added]
        classified = bool(DATA_SETS[shipped[0]].classes)
        fitting = [name for name, entry in DATA_SETS.added.items() if bool(entry.classes) == classified]
        names = (*shipped, *fitting)
        if names != get_args(about.annotation):
            about.annotation = Literal[names]  # type: ignore[assignment]
            model.model_rebuild(force=True)


def _unbounded(dimension: int, **options: Any) -> float:
    return float("inf")
