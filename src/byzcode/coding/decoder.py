"""The class of decoders: they recover the exact gradient from messages with at most s lies, or report failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Decoded(NamedTuple):
    """The gradient, (R, D), and whether decoding failed because no gradient fits the messages, (R,) of bool.

    After a failure the gradient is 0, so the server takes no step.
    """

    gradient: Tensor
    failed: Tensor


class Decode(Protocol):
    """A decoder for one size: messages (R, N, K) to the gradient (R, D)."""

    def __call__(self, messages: Tensor) -> Decoded:
        """Decode one iteration of R runs."""


def any_of_them(devices: int, subsets: int) -> Sequence[int]:
    """All redundancies, 1 to M."""
    return range(1, subsets + 1)


@dataclass(frozen=True)
class Decoder:
    """``prepare(devices, subsets, redundancy)`` returns the decoder for a size.

    - ``most_liars(devices, subsets, redundancy)`` is s, the number of arbitrary liars among which it is exact.
    - ``erasing(absent, devices, subsets, redundancy)`` is the same if the messages of ``absent`` devices are NaN; each
      counts as a lie if left out.
    - ``refuses(devices, subsets, redundancy)`` says why a size is not supported, or returns None.
    - ``redundancies(devices, subsets)`` lists, in ascending order, all redundancies that may be supported; ``refuses``
      may exclude some of them.
    """

    prepare: Callable[[int, int, int], Decode]
    most_liars: Callable[[int, int, int], int]
    refuses: Callable[[int, int, int], str | None]
    redundancies: Callable[[int, int], Sequence[int]] = any_of_them
    erasing: Callable[[int, int, int, int], int] | None = None

    def most_beside(self, absent: int, devices: int, subsets: int, redundancy: int) -> int:
        """The number of liars among which it is exact beside ``absent`` devices; negative if it is not without any."""
        size = (devices, subsets, redundancy)
        return self.erasing(absent, *size) if absent and self.erasing else self.most_liars(*size) - absent
