"""What a compressor is: a function of messages and random numbers that also says how many bits it sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


class Compressed(NamedTuple):
    """Messages as the server reads them, (R, N, D), and the bits that each device sent for its own.

    ``bits`` is one number where every message takes the same, else (R, N).
    """

    messages: Tensor
    bits: int | Tensor


@dataclass(frozen=True)
class Compressor:
    """``compressor(messages, draws, number_bits, **options)``; a number that is not compressed takes ``number_bits``.

    Messages are (R, N, D), and each device has its own random numbers.
    """

    function: Callable[..., Compressed]

    def __call__(self, messages: Tensor, draws: Draws, number_bits: int, **options: Any) -> Compressed:
        """Compress; see the class."""
        return self.function(messages, draws, number_bits, **options)
