"""The class of pre-aggregators: functions of messages and f, and the number of messages that they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from byzcode.lazy import Entry

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.randomness import Draws


def all_of_them(devices: int, **options: Any) -> int:
    """As many messages as devices, whatever the options."""
    return devices


#: Properties that a pre-aggregator may lack.
#: ``order``: if the devices are permuted, the resulting messages are permuted in the same way.
#: ``translation``: if one vector is added to all messages, it is added to all resulting messages.
Property = Literal["order", "translation"]


@dataclass(frozen=True)
class PreAggregator(Entry):
    """``pre(messages, f, draws, **options)`` maps (R, N, D) to (R, N', D); at most f of the N' are spoilt by lies.

    ``left(N, **options)`` is N'. Tests check that the pre-aggregator has every :data:`Property` that is not in
    ``lacks``. ``kappa(kappa, N, f)`` is the robustness constant if a rule of constant kappa follows, where it is known.
    An ``idle`` pre-aggregator leaves the messages unchanged.
    """

    function: Callable[..., Tensor]
    left: Callable[..., int] = all_of_them
    lacks: frozenset[Property] = frozenset()
    kappa: Callable[[float, int, int], float] | None = None
    idle: bool = False

    def __call__(self, messages: Tensor, f: int, draws: Draws, **options: Any) -> Tensor:
        """Mix; see the class."""
        return self.function(messages, f, draws, **options)
