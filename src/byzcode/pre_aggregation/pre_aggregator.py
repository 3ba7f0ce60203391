"""What stands in front of a rule: a function of messages and f, and how many messages it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

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
class PreAggregator:
    """``pre(messages, f, draws, **options)`` maps (R, N, D) to (R, N', D); at most f of the N' are spoilt.

    ``left(N, **options)`` is N'. Tests hold the pre-aggregator to every :data:`Property` that is not in ``lacks``.
    """

    function: Callable[..., Tensor]
    left: Callable[..., int] = all_of_them
    lacks: frozenset[Property] = frozenset()

    def __call__(self, messages: Tensor, f: int, draws: Draws, **options: Any) -> Tensor:
        """Mix; see the class."""
        return self.function(messages, f, draws, **options)
