"""The class of absences, the model of delays, and the options that absences share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field

from byzcode.lazy import Entry

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws

Share = Annotated[
    float,
    Field(ge=0, lt=1, description="The share of devices that do not answer; s = this times N, rounded half up."),
]
Spread = Annotated[
    float,
    Field(
        ge=0,
        description="The mean of the random part of the time of a gradient, in units of its fixed part; our choice.",
    ),
]


class Lateness(NamedTuple):
    """How late devices are: their ``delay``, and their ``rank``, both (R, N).

    A delay is the time until the message comes, in units of the least time of a gradient. The s honest devices with the
    largest ranks do not answer.
    """

    delay: Tensor
    rank: Tensor


def nobody(**options: Any) -> float:
    """All devices answer."""
    return 0.0


def option(*, share: float, **options: Any) -> float:
    """The share that is an option of the same name."""
    return share


@dataclass(frozen=True)
class Absence(Entry):
    """``absence(draws, loads, **options)`` maps the loads of devices, (R, N), to their :class:`Lateness`.

    A load is the number of gradients that a device computes in an iteration. ``share(**options)`` of the devices do not
    answer, the same number in every iteration. Byzantine devices always answer, and at once, which is the worst case.
    An ``idle`` absence is none, and no delays are modelled.
    """

    function: Callable[..., Lateness]
    share: Callable[..., float] = option
    idle: bool = False

    def __call__(self, draws: Draws, loads: Tensor, **options: Any) -> Lateness:
        """Draw the lateness of an iteration; see the class."""
        return self.function(draws, loads, **options)


def delays(draws: Draws, loads: Tensor, spread: float) -> Tensor:
    """Shifted exponential delays, (R, N): r (1 + spread E) for a device that computes r gradients, E ~ Exp(1).

    This is the model of Lee et al. (1512.02673), in which twice the work takes twice as long: P(delay <= r t) =
    1 - exp(-(t - 1) / spread). The expected maximum of n such delays is r (1 + spread (1 + 1/2 + ... + 1/n)), and that
    of the n - s smallest is r (1 + spread (1/(s + 1) + ... + 1/n)).
    """
    return loads * (1.0 + spread * draws.exponential(loads.shape[-1]))
