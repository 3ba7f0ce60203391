"""The server: one strategy per kind of server, in one table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from byzcode.aggregation import RULES
from byzcode.coding import DECODERS
from byzcode.lazy import torch
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.randomness import Draws, Stream
from byzcode.specs.methods import METHODS, ServerKind
from byzcode.specs.run import RunSpec
from byzcode.training.channel import Exchange
from byzcode.training.iterate import Iterate

if TYPE_CHECKING:
    from torch import Tensor


class Answer(NamedTuple):
    """The vector along which the server steps, (R, D), and, if it decodes, whether decoding failed, (R,)."""

    aggregate: Tensor
    failed: Tensor | None = None


class Server(ABC):
    """The server of a run."""

    @abstractmethod
    def answer(self, exchange: Exchange, at: Iterate) -> Answer:
        """Compute the aggregate of an iteration."""

    def aggregate(self, messages: Tensor, iteration: int) -> Tensor:
        """The aggregate (R, D) of trial messages (R, N, D), for attacks that search; only Receiving servers have it."""
        raise AssertionError("no lie reaches this server")


class Receiving(Server):
    """A server that knows only the messages that it receives."""

    @abstractmethod
    def of(self, messages: Tensor, iteration: int) -> Answer:
        """The answer to messages (R, N, D)."""

    def answer(self, exchange: Exchange, at: Iterate) -> Answer:
        """The answer to the received messages."""
        return self.of(exchange.received, exchange.iteration)

    def aggregate(self, messages: Tensor, iteration: int) -> Tensor:
        """The aggregate (R, D) of trial messages (R, N, D)."""
        return self.of(messages, iteration).aggregate


class Rule(Receiving):
    """Applies a robust rule, with or without pre-aggregation."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None:
        self._f = spec.assumed_f
        self._before, self._before_options = PRE_AGGREGATORS[spec.pre_aggregation.name], spec.pre_aggregation.options
        self._rule, self._rule_options = RULES[spec.aggregation.name], spec.aggregation.options
        self._streams = [Stream(seed, "pre_aggregation") for seed in seeds]

    def of(self, messages: Tensor, iteration: int) -> Answer:
        """The aggregate of the rule."""
        draws = Draws(self._streams, iteration, like=messages)
        mixed = self._before(messages, self._f, draws, **self._before_options)
        return Answer(self._rule(mixed, self._f, **self._rule_options))


class Decoder(Receiving):
    """Decodes the gradient from codewords."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None:
        decoder = DECODERS[METHODS[spec.method].decoder]
        self._decode = decoder.prepare(spec.devices, spec.subsets, spec.redundancy)

    def of(self, messages: Tensor, iteration: int) -> Answer:
        """The decoded gradient, and in which runs decoding failed."""
        return Answer(*self._decode(messages))


class HonestMean(Server):
    """Knows which devices are Byzantine, and averages the messages of the others."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None: ...

    def answer(self, exchange: Exchange, at: Iterate) -> Answer:
        """The mean of the honest messages."""
        return Answer(exchange.honest.mean(dim=-2))


class TrueGradient(Server):
    """Knows the gradient of F."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None: ...

    def answer(self, exchange: Exchange, at: Iterate) -> Answer:
        """The gradient of F."""
        return Answer(at.gradient)


class Undefined(Server):
    """Stands in for a rule that is not defined for this number of Byzantine devices: the aggregate is NaN."""

    def answer(self, exchange: Exchange, at: Iterate) -> Answer:
        """NaN."""
        return Answer(torch.full_like(at.theta, torch.nan))


SERVERS: dict[ServerKind, type[Rule | Decoder | HonestMean | TrueGradient]] = {
    "rule": Rule,
    "decoder": Decoder,
    "honest_mean": HonestMean,
    "true_gradient": TrueGradient,
}


def server_of(spec: RunSpec, seeds: Sequence[int]) -> Server:
    """The server of a run."""
    return Undefined() if spec.undefined is not None else SERVERS[METHODS[spec.method].server](spec, seeds)
