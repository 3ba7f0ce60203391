"""The Byzantine devices of an iteration (the liars), and what they may know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from byzcode.errors import UserError
from byzcode.kernels.order import put_devices, take_devices
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def _no_aggregate(messages: Tensor) -> Tensor:
    raise UserError(
        "Threat: aggregate = None: this attack tries the rule in use; pass a function of (R, N, D) to (R, D)"
    )


def _no_relabelled() -> Tensor:
    raise UserError("Threat: relabelled = None: this attack poisons data; pass a function that gives (R, N, D)")


def _no_exclusive() -> Tensor:
    raise UserError("Threat: exclusive = None: this attack knows the allocation; pass a function that gives (R, N, D)")


@dataclass(frozen=True)
class Threat:
    """The liars of one iteration, as device numbers; their number f is the same for every seed.

    ``liars`` (R, f) and ``honest`` (R, N - f) are device numbers. ``aggregate`` is the server's rule, (R, N, D) to
    (R, D), for liars who know it. ``relabelled()`` returns the messages (R, N, D) that the devices would send if all
    their labels had the other sign, for liars who poison their data. ``exclusive()`` returns the parts of the messages,
    (R, N, D), that come from subsets which only liars hold, for liars who know the allocation; it is 0 for honest
    devices. ``iteration`` counts from 0, for liars who bide their time. ``absent`` honest devices do not answer; they
    are not in ``honest``, which is then (R, N - f - absent).
    """

    liars: Tensor
    honest: Tensor
    aggregate: Callable[[Tensor], Tensor] = _no_aggregate
    relabelled: Callable[[], Tensor] = _no_relabelled
    exclusive: Callable[[], Tensor] = _no_exclusive
    iteration: int = 0
    absent: int = 0

    @property
    def f(self) -> int:
        """The number of liars."""
        return self.liars.shape[-1]

    @property
    def answering(self) -> int:
        """The number of devices that answer, liars or not."""
        return self.f + self.honest.shape[-1]

    @property
    def mask(self) -> Tensor:
        """True where a device lies, (R, N)."""
        flat = torch.zeros((len(self.liars), self.answering + self.absent), dtype=torch.bool, device=self.liars.device)
        return flat.scatter(-1, self.liars, value=True)

    def of_liars(self, messages: Tensor) -> Tensor:
        """The liars' rows of (R, N, D), as (R, f, D)."""
        return take_devices(messages, self.liars)

    def of_honest(self, messages: Tensor) -> Tensor:
        """The honest rows of (R, N, D), as (R, N - f, D)."""
        return take_devices(messages, self.honest)

    def replace(self, messages: Tensor, lies: Tensor) -> Tensor:
        """``messages`` (R, N, D) with the liars' rows replaced by ``lies``, (R, f, D) or (R, 1, D)."""
        return put_devices(messages, self.liars, lies)
