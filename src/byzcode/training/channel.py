"""The channel between the devices and the server: compression and the attack."""

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
    """The messages of one iteration. The attack runs only when ``received`` is first read.

    ``present`` (R, N - s) are the devices that answer; None if all do. ``bits`` are those of their messages.
    """

    def __init__(
        self, channel: Channel, coded: Tensor, threat: Threat, iteration: int, present: Tensor | None = None
    ) -> None:
        self._channel, self._coded = channel, coded
        self.threat, self.iteration, self.present = threat, iteration, present
        self._draws = channel.draws(coded, iteration)
        self.sent, bits = channel.compressed(coded, self._draws)
        self.bits = bits if present is None or isinstance(bits, int) else bits.gather(-1, present)
        self._received: Tensor | None = None

    @property
    def honest(self) -> Tensor:
        """The honest messages that come, as sent, after compression, (R, H, D)."""
        return self.threat.of_honest(self.sent)

    @property
    def received(self) -> Tensor:
        """The messages that the server receives, (R, N, D), with those of absent devices, which it must not use."""
        if self._received is None:
            self._received = self._channel.received(self._coded, self.sent, self.threat, self.iteration, self._draws)
        return self._received

    @property
    def lies(self) -> Tensor | None:
        """The Byzantine messages that the server received, (R, f, D); None if nothing has read ``received``."""
        return None if self._received is None else self.threat.of_liars(self._received)


class Channel:
    """The compressor and the attack of a run.

    Byzantine devices see the compressed messages of honest devices and their own uncompressed ones. Byzantine messages
    use the sending device's compressor and random stream, so a shared mask is the same for all devices, unless the run
    sends them uncompressed. Bits are counted as if all devices were honest.
    """

    def __init__(self, spec: RunSpec, seeds: Sequence[int]) -> None:
        self._compressor = partial(COMPRESSORS[spec.compression.name].function, **spec.compression.options)
        self._attack = partial(ATTACKS[spec.attack.name].function, **spec.attack.options)
        self._bits = spec.message_bits
        self._squeezed = spec.byzantine.compressed and not COMPRESSORS[spec.compression.name].lossless
        self._compression = [Stream(seed, "compression") for seed in seeds]
        self._lying = [Stream(seed, "attack") for seed in seeds]

    def carry(self, coded: Tensor, threat: Threat, iteration: int, present: Tensor | None = None) -> Exchange:
        """The exchange of an iteration, in which the devices have the coded gradients ``coded`` (R, N, D)."""
        return Exchange(self, coded, threat, iteration, present)

    def draws(self, coded: Tensor, iteration: int) -> Draws:
        """The random numbers of all devices for compression in an iteration."""
        return Draws(self._compression, iteration, like=coded)

    def compressed(self, messages: Tensor, draws: Draws) -> Compressed:
        """The messages as they are sent, and their bits."""
        return self._compressor(messages, draws, self._bits)

    def received(self, coded: Tensor, sent: Tensor, threat: Threat, iteration: int, draws: Draws) -> Tensor:
        """The messages that the server receives, given the coded gradients and their compressed form, all (R, N, D).

        ``draws`` are those that compressed the messages: a device compresses its lie with the same random numbers.
        """
        if threat.f == 0:
            return sent
        seen = sent if sent is coded else threat.replace(sent, threat.of_liars(coded))
        received: Tensor = self._attack(seen, threat, Draws(self._lying, iteration, like=coded))
        if self._squeezed:
            lies, of_liars = threat.of_liars(received), draws.of_devices(threat.liars, sent.shape[-2])
            received = threat.replace(sent, self.compressed(lies, of_liars).messages)
        return received
