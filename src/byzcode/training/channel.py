"""What becomes of messages between the devices and the server: compression, and lies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from byzcode.attacks import ATTACKS, Threat
from byzcode.compression import COMPRESSORS, Compressed
from byzcode.randomness import Draws, Stream
from byzcode.specs.run import RunSpec

if TYPE_CHECKING:
    from torch import Tensor


class Exchange:
    """The messages of one iteration. Nobody lies until the server looks at what it receives."""

    def __init__(self, channel: Channel, coded: Tensor, threat: Threat, iteration: int) -> None:
        self._channel, self._coded = channel, coded
        self.threat, self.iteration = threat, iteration
        self.sent, self.bits = channel.sent(coded, iteration)
        self._received: Tensor | None = None

    @property
    def honest(self) -> Tensor:
        """The messages of honest devices as they are sent, (R, N - f, D)."""
        return self.threat.of_honest(self.sent)

    @property
    def received(self) -> Tensor:
        """What the server receives, (R, N, D)."""
        if self._received is None:
            self._received = self._channel.received(self._coded, self.sent, self.threat, self.iteration)
        return self._received

    @property
    def lies(self) -> Tensor | None:
        """What the server received of liars, (R, f, D); None where it did not look."""
        return None if self._received is None else self.threat.of_liars(self._received)


class Channel:
    """The compressor and the attack of a run.

    Liars see what honest devices send, compressed, and their own messages whole. Their lies go through the compressor
    of the device that tells them, with the random numbers that it would have used in honesty (a shared mask is so kept
    by all), unless the run has lies sent whole. Only what honest devices would send counts as bits.
    """

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None:
        self._compressor = partial(COMPRESSORS[spec.compression.name].function, **spec.compression.options)
        self._attack = partial(ATTACKS[spec.attack.name].function, **spec.attack.options)
        self._bits = spec.message_bits
        self._squeezed = spec.byzantine.compressed and not COMPRESSORS[spec.compression.name].lossless
        self._compression = [Stream(seed, "compression") for seed in seeds]
        self._lying = [Stream(seed, "attack") for seed in seeds]

    def carry(self, coded: Tensor, threat: Threat, iteration: int) -> Exchange:
        """What devices make of coded gradients (R, N, D) in an iteration, honest ones and liars."""
        return Exchange(self, coded, threat, iteration)

    def sent(self, coded: Tensor, iteration: int) -> Compressed:
        """The messages (R, N, D) of an iteration as they are sent if no device lies, and their bits."""
        return self._compressor(coded, Draws(self._compression, iteration, like=coded), self._bits)

    def received(self, coded: Tensor, sent: Tensor, threat: Threat, iteration: int) -> Tensor:
        """What the server receives of coded gradients and of what is sent of them, all (R, N, D)."""
        if threat.f == 0:
            return sent
        seen = sent if sent is coded else threat.replace(sent, threat.of_liars(coded))
        received: Tensor = self._attack(seen, threat, Draws(self._lying, iteration, like=coded))
        if self._squeezed:
            received = threat.replace(sent, threat.of_liars(self.sent(received, iteration).messages))
        return received
