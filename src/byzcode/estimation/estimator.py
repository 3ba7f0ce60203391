"""The class of estimators of f: a suspicion of each message, and how many suspicions are too large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from byzcode.lazy import Entry, torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Estimator(Entry):
    """``estimator(messages, **options)`` maps messages (R, N, D) to suspicions (R, N), larger for a likelier lie.

    ``count(suspicions)`` maps them to estimates of f, (R,): at most :func:`most` of N, and the same if the devices are
    permuted. No message may be taken for a lie because its suspicion is small. A suspicion may be infinite, not NaN.
    If it ``remembers``, the server counts the means of each device's suspicions over all iterations so far. An ``idle``
    estimator is none: the server is given f.
    """

    function: Callable[..., Tensor]
    count: Callable[[Tensor], Tensor]
    remembers: bool = False
    idle: bool = False

    def __call__(self, messages: Tensor, **options: Any) -> Tensor:
        """The suspicions; see the class."""
        suspicion: Tensor = self.function(messages, **options)
        return suspicion


def most(devices: int) -> int:
    """The largest estimate, (N - 1) // 2: honest devices are assumed to be a majority."""
    return (devices - 1) // 2


def outstanding(suspicions: Tensor) -> Tensor:
    """How many suspicions (R, N) are outliers, (R,): above the median by 3.5 standard deviations.

    The standard deviation is estimated by 1.4826 times the median absolute deviation from the median (Iglewicz and
    Hoaglin, 1993), which half of the devices cannot move arbitrarily far.
    """
    middle = suspicions.median(dim=-1, keepdim=True).values
    away = (suspicions - middle).nan_to_num(nan=torch.inf)  # infinite minus infinite
    spread = away.abs().median(dim=-1, keepdim=True).values
    return (away > 3.5 * 1.4826 * spread).sum(dim=-1).clamp(max=most(suspicions.shape[-1]))
