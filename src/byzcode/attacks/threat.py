"""Who lies in an iteration, and what else there is to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from byzcode.kernels.order import put_devices, take_devices
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def _unknown(*_: Tensor) -> Tensor:
    raise NotImplementedError("this iteration was set up without it")


@dataclass(frozen=True)
class Threat:
    """The liars of one iteration: indices, because their number f is the same for every seed.

    ``liars`` is (R, f), ``honest`` is (R, N - f), both of device numbers. ``aggregate`` is what the server would make
    of messages, (R, N, D) to (R, D): for liars who know the rule. ``relabelled()`` gives the messages (R, N, D) that
    the devices would send had all their labels the other sign: for liars who poison their data.
    """

    liars: Tensor
    honest: Tensor
    aggregate: Callable[[Tensor], Tensor] = _unknown
    relabelled: Callable[[], Tensor] = _unknown

    @property
    def f(self) -> int:
        """The number of liars."""
        return self.liars.shape[-1]

    @property
    def mask(self) -> Tensor:
        """True where a device lies, (R, N)."""
        devices = self.f + self.honest.shape[-1]
        flat = torch.zeros((len(self.liars), devices), dtype=torch.bool, device=self.liars.device)
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
