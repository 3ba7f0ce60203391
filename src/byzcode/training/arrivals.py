"""Which devices answer in an iteration, and how long the server waits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from byzcode.absence import ABSENCES
from byzcode.lazy import torch
from byzcode.randomness import Draws, Stream
from byzcode.specs.run import RunSpec

if TYPE_CHECKING:
    from torch import Tensor


class Arrival(NamedTuple):
    """The honest devices that answer, (R, H), and all that do, (R, N - s), by number; the latter is None if s is 0.

    ``time`` (R,) is the delay of the last message, if delays are modelled.
    """

    honest: Tensor
    present: Tensor | None = None
    time: Tensor | None = None


class Arrivals:
    """The absences of a run. ``loads`` (R, N) are the gradients that each device computes in an iteration."""

    def __init__(self, spec: RunSpec, seeds: Sequence[int], loads: Tensor) -> None:
        entry = ABSENCES[spec.absence.name]
        self._late = None if entry.idle else partial(entry.function, **spec.absence.options)
        self._absent, self._honest, self._loads = spec.absent, spec.honest, loads
        self._streams = [Stream(seed, "absence") for seed in seeds]

    def at(self, iteration: int, lying: Tensor, honest: Tensor, order: Tensor | None = None) -> Arrival:
        """Who answers in an iteration in which the devices ``lying`` (R, f) lie and ``honest`` (R, N - f) do not.

        ``order`` (R, N) permutes the loads, if the assignment permutes devices. Ties between ranks are settled by the
        order of ``honest``.
        """
        if self._late is None:
            return Arrival(honest)
        loads = self._loads if order is None else self._loads.gather(-1, order)
        delay, rank = self._late(Draws(self._streams, iteration, like=loads), loads)
        present = None
        if self._absent:
            first = rank.gather(-1, honest).argsort(dim=-1, stable=True)[:, : self._honest]
            honest = honest.gather(-1, first).sort(dim=-1).values
            present = torch.cat([lying, honest], dim=-1).sort(dim=-1).values
        return Arrival(honest, present, delay.gather(-1, honest).amax(dim=-1))
