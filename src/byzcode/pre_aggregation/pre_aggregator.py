"""What stands in front of a rule: a function of messages and f, and how many messages it leaves."""

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


#: What a pre-aggregator may lack.
#: ``order``: if the devices come in another order, so do the messages that are left.
#: ``translation``: if one vector is added to all messages, it is added to all that are left.
Property = Literal["order", "translation"]


@dataclass(frozen=True)
class PreAggregator(Entry):
    """``pre(messages, f, draws, **options)`` maps (R, N, D) to (R, N', D); at most f of the N' are spoilt.

    ``left(N, **options)`` is N'. Tests hold the pre-aggregator to every :data:`Property` that is not in ``lacks``.
    ``kappa(kappa, N, f)`` is the robustness constant of a rule of constant kappa behind it, if that is known. One that
    is ``idle`` leaves the messages as they are.
    """

    function: Callable[..., Tensor]
    left: Callable[..., int] = all_of_them
    lacks: frozenset[Property] = frozenset()
    kappa: Callable[[float, int, int], float] | None = None
    idle: bool = False

    def __call__(self, messages: Tensor, f: int, draws: Draws, **options: Any) -> Tensor:
        """Mix; see the class."""
        return self.function(messages, f, draws, **options)
