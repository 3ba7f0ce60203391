"""The server: one strategy per kind of server, in one table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.aggregation import RULES
from byzcode.coding import DECODERS, VOTES
from byzcode.coding.vote import copies_in
from byzcode.estimation import ESTIMATORS
from byzcode.kernels.order import take_devices
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
    """The vector along which the server steps, (R, D).

    If it decodes, also whether decoding failed, (R,); if it estimates f, also the estimates, (R,).
    """

    aggregate: Tensor
    failed: Tensor | None = None
    estimated: Tensor | None = None


class Server(ABC):
    """The server of a run."""

    @abstractmethod
    def answer(self, exchange: Exchange, at: Iterate) -> Answer:
        """Compute the aggregate of an iteration."""

    def aggregate(self, messages: Tensor, present: Tensor | None, iteration: int) -> Tensor:
        """The aggregate (R, D) of trial messages (R, N, D), for attacks that search; only Receiving servers have it."""
        raise AssertionError("no lie reaches this server")


class Receiving(Server):
    """A server that knows only the messages that it receives."""

    @abstractmethod
    def of(self, messages: Tensor, iteration: int) -> Answer:
        """The answer to the messages that come, (R, N - s, D)."""

    def those_of(self, messages: Tensor, present: Tensor | None) -> Tensor:
        """Of messages (R, N, D) those that come, (R, N - s, D): of the devices ``present``, or of all."""
        return messages if present is None else take_devices(messages, present)

    def answer(self, exchange: Exchange, at: Iterate) -> Answer:
        """The answer to the received messages."""
        return self.of(self.those_of(exchange.received, exchange.present), exchange.iteration)

    def aggregate(self, messages: Tensor, present: Tensor | None, iteration: int) -> Tensor:
        """The aggregate (R, D) of trial messages (R, N, D)."""
        return self.of(self.those_of(messages, present), iteration).aggregate


class Rule(Receiving):
    """Applies a robust rule, with or without pre-aggregation."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None:
        self._f = spec.lost
        self._before, self._before_options = PRE_AGGREGATORS[spec.pre_aggregation.name], spec.pre_aggregation.options
        self._rule, self._rule_options = RULES[spec.aggregation.name], spec.aggregation.options
        self._streams = [Stream(seed, "pre_aggregation") for seed in seeds]

    def of(self, messages: Tensor, iteration: int) -> Answer:
        """The aggregate of the rule."""
        return Answer(self._given(messages, self._f, self._streams, iteration))

    def _given(self, messages: Tensor, f: int, streams: Sequence[Stream], iteration: int) -> Tensor:
        """The aggregate of the rule for some runs, given f."""
        mixed = self._before(messages, f, Draws(streams, iteration, like=messages), **self._before_options)
        return self._rule(mixed, f, **self._rule_options)


class Estimating(Rule):
    """Applies a robust rule that is given an estimate of f."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None:
        super().__init__(spec, seeds)
        self._most = spec.assumed_f
        self._estimator, self._options = ESTIMATORS[spec.estimation.name], spec.estimation.options
        self._past: Tensor | None = None
        self._iterations = 0

    def answer(self, exchange: Exchange, at: Iterate) -> Answer:
        """The answer to the received messages. An estimator that remembers now knows this iteration, too."""
        messages = self.those_of(exchange.received, exchange.present)
        total = self._total(messages)
        answer = self._answer(messages, total, exchange.iteration)
        if self._estimator.remembers:
            self._past, self._iterations = total, self._iterations + 1
        return answer

    def of(self, messages: Tensor, iteration: int) -> Answer:
        """The answer to messages (R, N, D) after the iterations so far."""
        return self._answer(messages, self._total(messages), iteration)

    def _total(self, messages: Tensor) -> Tensor:
        """The sum of the suspicions of each device, (R, N), over this iteration and those that are remembered."""
        now = self._estimator(messages, **self._options)
        return now if self._past is None else self._past + now

    def _answer(self, messages: Tensor, total: Tensor, iteration: int) -> Answer:
        estimated = self._estimator.count(total / (self._iterations + 1)).clamp(max=self._most)
        aggregate = torch.empty_like(messages[:, 0])
        for f in sorted(set(estimated.tolist())):  # a rule takes one f for all runs of a batch
            own = (estimated == f).nonzero().squeeze(-1)
            streams = [self._streams[run] for run in own.tolist()]
            aggregate[own] = self._given(messages[own], f, streams, iteration)
        return Answer(aggregate, estimated=estimated)


class Voting(Rule):
    """Votes on the copies of each file, and applies a robust rule to the results."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int], assigned: NDArray[np.int32]) -> None:
        super().__init__(spec, seeds)
        rows = copies_in(assigned)
        self._rows = torch.from_numpy(rows)
        self._decide = VOTES[METHODS[spec.method].vote].prepare(rows // spec.vectors, spec.devices, spec.assumed_f)
        self._honest: Tensor | None = None

    def answer(self, exchange: Exchange, at: Iterate) -> Answer:
        """The answer to the received messages."""
        self._honest = exchange.sent  # before the attack runs, which may try messages
        return super().answer(exchange, at)

    def of(self, messages: Tensor, iteration: int) -> Answer:
        """The mean of vectors that the vote knows to be true, else the aggregate of the rule."""
        honest = messages if self._honest is None else self._honest
        rows = self._rows.to(messages.device)
        vectors, known = self._decide(messages[:, rows], honest[:, rows])
        aggregate = super().of(vectors, iteration).aggregate
        if known is None:
            return Answer(aggregate)
        return Answer(torch.where(known.unsqueeze(-1), vectors.mean(dim=-2), aggregate))


class Decoder(Receiving):
    """Decodes the gradient from codewords. Messages that do not come are NaN, at the places of their devices."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None:
        decoder = DECODERS[METHODS[spec.method].decoder]
        self._decode = decoder.prepare(spec.devices, spec.subsets, spec.redundancy)

    def those_of(self, messages: Tensor, present: Tensor | None) -> Tensor:
        """Messages (R, N, D), NaN where they do not come."""
        if present is None:
            return messages
        absent = torch.ones_like(messages[..., 0], dtype=torch.bool).scatter(-1, present, value=False)
        return messages.masked_fill(absent.unsqueeze(-1), torch.nan)

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


def server_of(spec: RunSpec, seeds: Sequence[int], assigned: NDArray[np.int32]) -> Server:
    """The server of a run; ``assigned`` (R, N l, S / l) are the subsets behind each vector that is sent."""
    if spec.undefined is not None:
        return Undefined()
    if spec.votes:
        return Voting(spec, seeds, assigned)
    return Estimating(spec, seeds) if spec.estimates else SERVERS[METHODS[spec.method].server](spec, seeds)
