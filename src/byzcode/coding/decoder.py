"""What a decoder is: it makes the exact gradient of messages of which at most s are lies, or says that it cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Decoded(NamedTuple):
    """The gradient, (R, D), and where no gradient is consistent with the messages, (R,) of bool.

    Where it failed, the gradient is 0: the server takes no step.
    """

    gradient: Tensor
    failed: Tensor


class Decode(Protocol):
    """A decoder for one size: messages (R, N, K) to the gradient (R, D)."""

    def __call__(self, messages: Tensor) -> Decoded:
        """Decode one iteration of R runs."""


def any_of_them(devices: int, subsets: int) -> Sequence[int]:
    """All redundancies there are."""
    return range(1, subsets + 1)


@dataclass(frozen=True)
class Decoder:
    """``prepare(devices, subsets, redundancy)`` gives the decoder of a size.

    - ``bears(devices, subsets, redundancy)`` is s, the number of arbitrary liars against which it is exact.
    - ``refuses(devices, subsets, redundancy)`` says why a size cannot be served, or None.
    - ``redundancies(devices, subsets)`` lists, in ascending order, all that may be served: it may also refuse some.
    """

    prepare: Callable[[int, int, int], Decode]
    bears: Callable[[int, int, int], int]
    refuses: Callable[[int, int, int], str | None]
    redundancies: Callable[[int, int], Sequence[int]] = any_of_them
