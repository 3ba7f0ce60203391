"""Which combinations of fields a run may have. Each check refuses one kind of contradiction."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from byzcode.aggregation import RULES
from byzcode.allocation import ALLOCATIONS
from byzcode.attacks import ATTACKS
from byzcode.coding import DECODERS, ENCODERS, VOTES
from byzcode.errors import KeyedError
from byzcode.estimation import ESTIMATORS
from byzcode.specs.allocation import check_held, check_sizes
from byzcode.specs.components import Component
from byzcode.specs.methods import METHODS
from byzcode.specs.settings import MOST_POINTS

if TYPE_CHECKING:
    from byzcode.specs.run import RunSpec


def check(spec: RunSpec) -> None:
    """Raise KeyedError for the first value that contradicts others."""
    for each in (_sizes, _decoder, _votes, _encoder, _honest, _remembered, _told, _options, _record):
        each(spec)


def _sizes(spec: RunSpec) -> None:
    """The arrays fit into memory, and an allocation of this size exists."""
    check_sizes(
        spec,
        {
            "problem": ("the features of all seeds", spec.sizes.data),
            "devices": ("seeds N D, the messages", spec.rows * spec.dimension),
        },
    )
    check_held(spec, "problem.subsets")


def _decoder(spec: RunSpec) -> None:
    """The decoder of the method supports these sizes."""
    method = METHODS[spec.method]
    if method.server == "decoder":
        reason = DECODERS[method.decoder].refuses(spec.devices, spec.subsets, spec.redundancy)
        if reason is not None:
            raise KeyedError("redundancy", spec.redundancy, f"{reason}; with method {spec.method}")


def _votes(spec: RunSpec) -> None:
    """A server that votes has files with equally many copies, which this vote can settle, from all devices."""
    if not spec.votes:
        return
    vote = VOTES[METHODS[spec.method].vote]
    served = [name for name, each in ALLOCATIONS.items() if each.file and (each.pairwise or not vote.pairwise)]
    if spec.allocation.name not in served:
        raise KeyedError("allocation", spec.allocation.name, f"allowed: {', '.join(served)}; with method {spec.method}")
    if spec.devices * spec.redundancy % spec.subsets:
        reason = f"each file must be on equally many devices: N r / M an integer; with method {spec.method}"
        raise KeyedError("redundancy", spec.redundancy, reason)
    if spec.timed:
        reason = f"leave it out: the server of method {spec.method} votes on the copies of all devices"
        raise KeyedError("absence", spec.absence.model_dump(), reason)


def _encoder(spec: RunSpec) -> None:
    """Messages that only a decoder can read go to that decoder."""
    if (decoder := ENCODERS[spec.encoding.name].decoder) and decoder != METHODS[spec.method].decoder:
        raise KeyedError("encoding", spec.encoding.name, "allowed only for a method that decodes it")


def _honest(spec: RunSpec) -> None:
    """An honest device exists, and answers."""
    if spec.f >= spec.devices:
        reason = f"f = {spec.f} liars among {spec.devices} devices: at least one must be honest"
        raise KeyedError("byzantine.alpha", spec.byzantine.alpha, reason)
    if spec.absent and spec.honest < 1:
        reason = f"{spec.absent} absent and {spec.f} Byzantine of {spec.devices} devices: an honest one must answer"
        raise KeyedError("absence", spec.absence.model_dump(), reason)


def _remembered(spec: RunSpec) -> None:
    """Devices of which an estimator remembers something all answer."""
    if spec.absent and ESTIMATORS[spec.estimation.name].remembers:
        reason = "remembers suspicions of devices, which must all answer; leave out absence, or allowed: another one"
        raise KeyedError("estimation", spec.estimation.name, reason)


def _told(spec: RunSpec) -> None:
    """A server is told another f, or estimates it, only if it has a rule that is given f; and not both."""
    for key, value in (("assumed_alpha", spec.assumed_alpha), ("estimation", spec.estimation.name)):
        told = METHODS[spec.method].server == "rule" or (spec.votes and key == "assumed_alpha")
        if value not in (None, "none") and not told:
            reason = f"the server of method {spec.method} has no rule that is given f; leave it out"
            raise KeyedError(key, value, reason)
    if spec.assumed_alpha is not None and spec.estimates:
        reason = f"the server estimates f ({spec.estimation.name}); leave out one of the two"
        raise KeyedError("assumed_alpha", spec.assumed_alpha, reason)


def _options(spec: RunSpec) -> None:
    """The options of the attack and of the rule fit the number of messages."""
    _check_options("attack", spec.attack, ATTACKS[spec.attack.name].refuses, spec.devices)
    if spec.undefined is None:
        _check_options("aggregation", spec.aggregation, RULES[spec.aggregation.name].refuses, spec.left, spec.lost)


def _record(spec: RunSpec) -> None:
    """The recorded points fit into memory."""
    points = len(spec.seeds) * spec.record.points(spec.iterations)
    if points > MOST_POINTS:
        raise KeyedError("record.step", spec.record.step, f"{points} points are recorded; allowed: {MOST_POINTS}")


def _check_options(key: str, component: Component, refuses: Callable[..., tuple[str, str] | None], *sizes: int) -> None:
    """Raise KeyedError if a component refuses one of its options at these sizes."""
    refused = refuses(*sizes, **component.options)
    if refused is not None:
        option, allowed = refused
        raise KeyedError(f"{key}.{option}", component.options[option], allowed)
