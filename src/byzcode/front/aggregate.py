"""Aggregation of messages by a rule, and what may come before it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from byzcode.aggregation import RULES
from byzcode.front import forms, gradients, named
from byzcode.front.draws import draws_of
from byzcode.pre_aggregation import PRE_AGGREGATORS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    F = TypeVar("F", bound=np.floating[Any])

T = TypeVar("T")


@overload
def aggregate(rule: str, messages: Tensor, f: int, **options: Any) -> Tensor: ...
@overload
def aggregate(rule: str, messages: NDArray[F], f: int, **options: Any) -> NDArray[F]: ...
@overload
def aggregate(rule: str, messages: Sequence[T], f: int, **options: Any) -> T: ...
def aggregate(rule: str, messages: Any, f: int, **options: Any) -> Any:
    """Combine the messages of N devices, up to f of which may lie, by a robust rule.

    ``messages`` are a torch tensor or a numpy array (..., N, D), or a list of N messages: arrays of any shape, or
    lists, tuples and mappings of them, such as one per layer. The result has the form of one message, its type and its
    device; float16 and bfloat16 are computed in float32. ``options`` are those of the rule in a run.

    If the messages require a gradient, the result has one; bulyan, which has none here, then raises an error.
    Raises UserError.

    >>> import byzcode as bz, numpy as np
    >>> bz.aggregate("median", np.array([[1.0, 2.0], [3.0, 1.0], [9.0, -7.0]]), f=1)
    array([3., 1.])
    >>> layers = [[np.full((2, 2), i), np.full(3, -i)] for i in (1.0, 2.0, 50.0)]
    >>> weights, bias = bz.aggregate("trimmed_mean", layers, 1)
    >>> weights.shape, bias
    ((2, 2), array([-2., -2., -2.]))
    """
    entry = named.entry(RULES, rule, "aggregate", "rule")
    own = named.options("aggregation", rule, options, "aggregate")
    form = forms.read(messages, "aggregate")
    number = named.whole(f, "aggregate", "f", 0, entry.most_liars(form.devices), f"{rule} of {form.devices} messages")
    named.fits(entry.refuses(form.devices, number, **own), own, "aggregate")

    def apply(messages: Tensor) -> Tensor:
        return entry(messages, number, **own)

    if rule in RULES.added:
        return form.one(gradients.kept(apply(form.messages), form.messages, rule, "aggregate"))
    gradients.check(form.messages, rule, gradients.RULES, "aggregate")
    twin = partial(gradients.RULES[rule], f=number, **own) if rule in gradients.RULES else apply
    return form.one(gradients.with_twin(apply, twin, form.messages))


def pre_aggregate(pre_aggregator: str, messages: T, f: int, *, seed: int = 0, iteration: int = 0, **options: Any) -> T:
    """Mix the messages of N devices before a rule: at most f of the results are spoilt by f lies.

    Forms are those of :func:`aggregate`; gradients pass through none and bucketing, which leaves fewer messages. Random
    numbers are those of a run with this seed in this iteration. Raises UserError.

    >>> import byzcode as bz, numpy as np
    >>> mixed = bz.pre_aggregate("nnm", np.array([[0.0], [1.0], [2.0], [90.0]]), f=1)
    >>> mixed.ravel().tolist()
    [1.0, 1.0, 1.0, 31.0]
    """
    where = "pre_aggregate"
    entry = named.entry(PRE_AGGREGATORS, pre_aggregator, where, "pre_aggregator")
    own = named.options("pre_aggregation", pre_aggregator, options, where)
    form = forms.read(messages, where)
    number = named.whole(f, where, "f", 0, form.devices - 1, f"of {form.devices} messages, one must be honest")
    gradients.check(form.messages, pre_aggregator, gradients.PRE_AGGREGATORS, where)
    mixed: T = form.several(entry(form.runs, number, draws_of(form.runs, seed, iteration, where), **own))
    return mixed
