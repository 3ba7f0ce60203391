"""The class of compressors: functions of messages and random numbers that also return the number of bits sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from byzcode.lazy import Entry

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


class Compressed(NamedTuple):
    """Messages as the server reads them, (R, N, D), and the bits that each device sends.

    ``bits`` is a single number if all messages have the same length, else (R, N).
    """

    messages: Tensor
    bits: int | Tensor


def independent(**options: Any) -> bool:
    """False: devices never share their random numbers."""
    return False


def defaults(dimension: int, number_bits: int, most: float) -> Iterable[Mapping[str, Any]]:
    """Offer only the defaults of all options."""
    return ({},)


@dataclass(frozen=True)
class Compressor(Entry):
    """``compressor(messages, draws, number_bits, **options)``; an uncompressed number takes ``number_bits``.

    Messages are (R, N, D), or (R, K, D) of some devices: a compressor treats each alone. Its random numbers are
    ``draws.for_messages(messages)``, a device's own, unless ``shared(**options)`` is true.

    - ``delta(D, **options)``: E ||C(x) - x||^2 <= delta ||x||^2 for every x.
    - ``unbiased``: E C(x) = x.
    - ``lossless``: C(x) = x.
    - ``bits(D, number_bits, **options)``: the length of a message; None if messages differ in length.
    - ``choices(D, number_bits, most)``: options to consider for messages of at most ``most`` bits.
    """

    function: Callable[..., Compressed]
    delta: Callable[..., float]
    unbiased: bool = False
    lossless: bool = False
    bits: Callable[..., int] | None = None
    shared: Callable[..., bool] = independent
    choices: Callable[[int, int, float], Iterable[Mapping[str, Any]]] = defaults

    def __call__(self, messages: Tensor, draws: Draws, number_bits: int, **options: Any) -> Compressed:
        """Compress; see the class."""
        return self.function(messages, draws, number_bits, **options)
