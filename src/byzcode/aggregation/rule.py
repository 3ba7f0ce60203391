"""The class of robust aggregation rules: functions of messages and f, and the number of liars that they tolerate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from byzcode.lazy import Entry

if TYPE_CHECKING:
    from torch import Tensor


def minority(devices: int) -> int:
    """The largest number of liars below half of the devices."""
    return (devices - 1) // 2


def near_minority(devices: int) -> int:
    """The largest f with N >= 2 f + 3: Krum's bound, under which every honest message has near neighbours."""
    return max(0, (devices - 3) // 2)


def quarter(devices: int) -> int:
    """The largest f with N >= 4 f + 3: Bulyan's bound."""
    return max(0, (devices - 3) // 4)


def everyone(devices: int) -> int:
    """No limit on f, for a rule that does not use it (and promises nothing)."""
    return devices


#: Properties that a rule may lack, perhaps only with some of its options.
#: ``translation``: if one vector is added to all messages, it is added to the result.
#: ``scale``: if all messages are multiplied by one positive number, so is the result.
#: ``agreement``: if all honest messages are equal, the result is the same, whatever f liars send.
Property = Literal["translation", "scale", "agreement"]


def never(messages: int, f: int, **options: Any) -> None:
    """Refuse nothing: any number of messages and all options are allowed."""


#: A robustness constant as a function of N and f.
Constant = Callable[[int, int], float]


def unevenness(devices: int, f: int) -> float:
    """A = f / (N - 2 f), the least constant that any rule can have (Allouah et al. 2023, 2302.01772)."""
    return f / (devices - 2 * f)


def near(constant: Constant) -> Constant:
    """The constant of the mean of the N - f values nearest to a centre, 4 f / (N - f) (1 + constant of the centre)."""
    return lambda devices, f: 4 * f / (devices - f) * (1 + constant(devices, f))


@dataclass(frozen=True)
class Rule(Entry):
    """An aggregation rule: ``rule(messages, f, **options)`` maps (..., N, D) to (..., D).

    - ``most_liars(N)`` is the greatest f that the rule accepts among N devices. A greater f raises ValueError.
    - ``lacks``: tests check that the rule has every :data:`Property` that is not listed here.
    - ``kappa(N, f)``, for f < N / 2, is the published robustness constant of a rule that has one: for every set H of
      N - f honest devices, ||rule - mean_H||^2 <= kappa (1/|H|) sum_H ||m_i - mean_H||^2.
    - ``sharp_kappa(N, f)`` is a smaller constant, derived in this package.
    - ``refuses(N, f, **options)`` returns an option that does not fit N messages with f lies, and what is allowed;
      else None.
    - ``jumps``: the result may jump from one honest message to another, so rounding may change a training.
    """

    function: Callable[..., Tensor]
    most_liars: Callable[[int], int]
    lacks: frozenset[Property] = frozenset()
    kappa: Constant | None = None
    sharp_kappa: Constant | None = None
    refuses: Callable[..., tuple[str, str] | None] = never
    jumps: bool = False

    def least_kappa(self, devices: int, f: int) -> float | None:
        """The smallest finite constant that is known here, or None."""
        known = [constant(devices, f) for constant in (self.kappa, self.sharp_kappa) if constant is not None]
        least = min(known, default=math.inf)
        return least if least < math.inf else None

    def __call__(self, messages: Tensor, f: int, **options: Any) -> Tensor:
        """Aggregate; see the class."""
        if messages.ndim < 2 or messages.shape[-2] == 0:
            raise ValueError(f"messages must be (..., N, D) with N >= 1; got shape {tuple(messages.shape)}")
        devices, name = messages.shape[-2], self.function.__name__
        most = self.most_liars(devices)
        if not 0 <= f <= most:
            raise ValueError(f"{name} of {devices} messages tolerates 0 to {most} liars; got f = {f}")
        return self.function(messages, f, **options)
