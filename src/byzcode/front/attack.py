"""What Byzantine devices send in place of their messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from byzcode.aggregation import RULES
from byzcode.attacks import ATTACKS, Threat
from byzcode.errors import UserError, complain
from byzcode.front import forms, gradients, named
from byzcode.front.draws import draws_of
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

WHERE = "attack"

#: What attacks need besides the messages, in the same form.
_NEEDED = {
    "relabelled": "the messages of flipped labels",
    "exclusive": "the parts of the messages that come from subsets which only liars hold",
}


def attack(
    name: str,
    messages: T,
    liars: Sequence[int] | Any,
    *,
    rule: str | Mapping[str, Any] | Callable[[Tensor], Tensor] | None = None,
    relabelled: T | None = None,
    exclusive: T | None = None,
    seed: int = 0,
    iteration: int = 0,
    **options: Any,
) -> T:
    """The messages that the server receives if some devices lie, in the form of the honest ``messages``.

    ``liars`` are device numbers, or N truth values; with leading axes (..., f) or (..., N) they differ between these.
    Attacks that try the server's ``rule`` need it: a name, a mapping of a name and options, or a function of messages
    (R, N, D) to (R, D). label_flip needs the messages ``relabelled`` that devices would send if their labels were
    flipped, negate_exclusive the parts ``exclusive`` of the messages that come from subsets which only liars hold.
    Random numbers are those of a run with this seed in this iteration; along leading axes the seed grows by 1.

    Gradients pass through none, sign_flip, gaussian, sample_duplicating, alie, ipm, mimic, label_flip and the constant
    ones; other attacks raise an error for messages that require one. Raises UserError.

    >>> import byzcode as bz, numpy as np
    >>> bz.attack("sign_flip", np.array([[1.0], [2.0], [3.0]]), liars=[2], coefficient=-2)
    array([[ 1.],
           [ 2.],
           [-6.]])
    """
    entry = named.entry(ATTACKS, name, WHERE, "name")
    own = named.options("attack", name, options, WHERE)
    form = forms.read(messages, WHERE)
    runs = form.runs
    named.fits(entry.refuses(form.devices, **own), own, WHERE)
    beside = {"relabelled": relabelled, "exclusive": exclusive}
    needs = {"rule": "rule", "relabelled": "labels", "exclusive": "allocation"}
    for key, need in needs.items():
        given = {"rule": rule, **beside}[key]
        if given is not None and need not in entry.knows:
            knowing = ", ".join(other for other, known in ATTACKS.items() if need in known.knows)
            raise UserError(f"{WHERE}: {key} is given, but {name} does not use it; allowed: for {knowing}")
    others = {
        key: None if each is None else forms.one_of_many(each, form, WHERE, key).reshape(runs.shape)
        for key, each in beside.items()
    }
    threat = _threat(form, liars, rule, others, name, iteration)
    if name not in ATTACKS.added:
        for each in (runs, *others.values()):
            gradients.check(each, name, gradients.ATTACKS, WHERE)
    received = entry(runs, threat, draws_of(runs, seed, iteration, WHERE), **own) if threat.f else runs
    if name in ATTACKS.added:
        received = gradients.kept(received, runs, name, WHERE)
    made: T = form.several(received)
    return made


def _threat(
    form: forms.Form, liars: Any, rule: Any, others: Mapping[str, Tensor | None], name: str, iteration: int
) -> Threat:
    lying = _devices(form, liars)
    everyone = np.arange(form.devices)
    honest = np.stack([np.setdiff1d(everyone, own) for own in lying])
    device = form.messages.device
    f = lying.shape[-1]

    def given(key: str) -> Tensor:
        if (messages := others[key]) is None:
            raise UserError(f"{WHERE}: {key} = None: {name} needs {_NEEDED[key]}")
        return messages

    return Threat(
        torch.from_numpy(lying).to(device),
        torch.from_numpy(honest).to(device),
        aggregate=_aggregate(form, rule, f, name),
        relabelled=partial(given, "relabelled"),
        exclusive=partial(given, "exclusive"),
        iteration=iteration,
    )


def _aggregate(form: forms.Form, rule: Any, f: int, name: str) -> Callable[[Tensor], Tensor]:
    """The server's rule, (R, N, D) to (R, D)."""
    if callable(rule):
        called: Callable[[Tensor], Tensor] = rule
        return called
    if rule is None:

        def missing(_: Tensor) -> Tensor:
            raise UserError(f"{WHERE}: rule = None: {name} tries the server's rule; allowed: a rule, such as 'median'")

        return missing
    chosen, own = named.with_options("aggregation", rule, WHERE, "rule")
    most = RULES[chosen].most_liars(form.devices)
    if f > most:
        raise complain(WHERE, "rule", chosen, f"tolerates 0 to {most} liars of {form.devices} devices; got {f}")
    return lambda messages: RULES[chosen](messages, f, **own)


def _devices(form: forms.Form, liars: Any) -> Any:
    """The device numbers of the liars, (R, f), in ascending order. Raises UserError."""
    given = liars.detach().cpu().numpy() if isinstance(liars, torch.Tensor) else np.asarray(liars)
    devices, runs = form.devices, len(form.runs)
    allowed = f"allowed: different device numbers, 0 to {devices - 1}, or {devices} truth values"
    if given.ndim == 0 or (given.size and given.dtype.kind not in "iub"):
        raise complain(WHERE, "liars", liars, allowed)
    if given.dtype == bool:
        counts = np.atleast_1d(given.sum(axis=-1))
        if given.shape[-1] != devices or len(set(counts.ravel().tolist())) > 1:
            raise complain(WHERE, "liars", liars, f"{allowed}, with the same number of liars along leading axes")
        given = np.nonzero(given)[-1].reshape(*given.shape[:-1], int(counts.flat[0]))
    try:
        lying = np.broadcast_to(given, (*form.batch, given.shape[-1])).reshape(runs, -1).astype(np.int64)
    except ValueError:
        raise complain(WHERE, "liars", liars, f"{allowed}, with the leading axes {form.batch} or none") from None
    lying = np.sort(lying, axis=-1)
    twice = (lying[:, 1:] == lying[:, :-1]).any()
    if lying.size and (lying.min() < 0 or lying.max() >= devices or twice):
        raise complain(WHERE, "liars", liars, allowed)
    if lying.shape[-1] >= devices:
        raise complain(WHERE, "liars", liars, f"at least one of the {devices} devices must be honest")
    return lying
