"""What the server makes of the messages that it receives: a rule, with or without pre-aggregation, or a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from byzcode.aggregation import RULES
from byzcode.coding import DECODERS
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.randomness import Draws, Stream
from byzcode.specs.methods import METHODS
from byzcode.specs.run import RunSpec

if TYPE_CHECKING:
    from torch import Tensor


class Answer(NamedTuple):
    """The vector along which the server steps, (R, D), and where its decoder failed, (R,), if it has one."""

    aggregate: Tensor
    failed: Tensor | None = None


class Server:
    """The server of a run. ``kind`` is that of its method; what it needs beside messages, the engine gives."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None:
        method = METHODS[spec.method]
        self.kind = method.server
        self._f = spec.f
        self._before = PRE_AGGREGATORS[spec.pre_aggregation.name], spec.pre_aggregation.options
        self._rule = RULES[spec.aggregation.name], spec.aggregation.options
        self._streams = [Stream(seed, "pre_aggregation") for seed in seeds]
        self._decode = (
            DECODERS[method.decoder].prepare(spec.devices, spec.subsets, spec.redundancy) if method.decoder else None
        )

    def answer(self, messages: Tensor, iteration: int) -> Answer:
        """What it makes of messages (R, N, D) in an iteration."""
        if self._decode is not None:
            return Answer(*self._decode(messages))
        before, options = self._before
        mixed = before(messages, self._f, Draws(self._streams, iteration, like=messages), **options)
        rule, options = self._rule
        return Answer(rule(mixed, self._f, **options))

    def aggregate(self, messages: Tensor, iteration: int) -> Tensor:
        """Only where it would step."""
        return self.answer(messages, iteration).aggregate
