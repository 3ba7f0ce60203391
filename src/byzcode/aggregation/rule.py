"""What a robust aggregation rule is: a function of messages and f, and how many liars it can bear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor


def minority(devices: int) -> int:
    """The most liars that are fewer than half of the devices."""
    return (devices - 1) // 2


def near_minority(devices: int) -> int:
    """The most liars with N >= 2 f + 3: Krum's bound, under which every honest message has near neighbours."""
    return max(0, (devices - 3) // 2)


def quarter(devices: int) -> int:
    """The most liars with N >= 4 f + 3: Bulyan's bound."""
    return max(0, (devices - 3) // 4)


def everyone(devices: int) -> int:
    """No limit on f, for a rule that makes no use of it (and promises nothing)."""
    return devices


#: What a rule may lack, if only with some of its options.
#: ``translation``: if one vector is added to all messages, it is added to the result.
#: ``scale``: if all messages are multiplied by one positive number, so is the result.
#: ``agreement``: if all honest messages are equal, the result is the same, whatever f liars send.
Property = Literal["translation", "scale", "agreement"]


@dataclass(frozen=True)
class Rule:
    """An aggregation rule: ``rule(messages, f, **options)`` maps (..., N, D) to (..., D).

    ``most_liars(N)`` is the greatest f that the rule accepts among N devices. Raises ValueError beyond it. Tests hold
    the rule to every :data:`Property` that is not in ``lacks``.
    """

    function: Callable[..., Tensor]
    most_liars: Callable[[int], int]
    lacks: frozenset[Property] = frozenset()

    def __call__(self, messages: Tensor, f: int, **options: Any) -> Tensor:
        """Aggregate; see the class."""
        if messages.ndim < 2 or messages.shape[-2] == 0:
            raise ValueError(f"messages must be (..., N, D) with N >= 1; got shape {tuple(messages.shape)}")
        devices, name = messages.shape[-2], self.function.__name__
        most = self.most_liars(devices)
        if not 0 <= f <= most:
            raise ValueError(f"{name} of {devices} messages bears 0 to {most} liars; got f = {f}")
        return self.function(messages, f, **options)
