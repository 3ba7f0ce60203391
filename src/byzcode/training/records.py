"""What is recorded of a batch of runs while it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.kernels.distances import lengths
from byzcode.lazy import torch
from byzcode.training.server import Answer
from byzcode.training.status import NEVER, Status

if TYPE_CHECKING:
    from torch import Tensor

#: A decoder's gradient is the true one if it is as near to it as this part of the size of the subsets' gradients.
EXACT = 1e-6


@dataclass(frozen=True)
class Measurements:
    """What a run leaves behind: arrays (R, number of recorded iterations), NaN after its end; then arrays (R,)."""

    loss: NDArray[np.float64]
    excess_loss: NDArray[np.float64]
    aggregation_error: NDArray[np.float64]
    honest_dispersion: NDArray[np.float64]
    coding_bias: NDArray[np.float64]
    heterogeneity: NDArray[np.float64]
    largest_heterogeneity: NDArray[np.float64]
    gradient_norm: NDArray[np.float64]
    distance_to_optimum: NDArray[np.float64]
    bits_sent: NDArray[np.float64]  # by all devices, cumulative
    decoding_failures: NDArray[np.float64]  # iterations in which the decoder found no gradient, cumulative
    decoding_errors: NDArray[np.float64]  # iterations in which its gradient was not the true one, cumulative
    smoothness: NDArray[np.float64]  # (R,): L of the problem
    strong_convexity: NDArray[np.float64]  # (R,): mu of the problem
    status: NDArray[np.int8]  # (R,): what became of the seed, a Status
    status_at: NDArray[np.int64]  # (R,): NEVER, or the first recorded iteration at which it had ended so

    def rows(self, first: int, last: int) -> Measurements:
        """Those of the runs ``first`` to ``last``, without the last."""
        return Measurements(**{name: getattr(self, name)[first:last] for name in _NAMES})


_NAMES = [field.name for field in fields(Measurements)]
PER_SEED = ("smoothness", "strong_convexity", "status", "status_at")
QUANTITIES = [name for name in _NAMES if name not in PER_SEED]


def join(parts: Iterable[Measurements]) -> Measurements:
    """The runs of all parts."""
    parts = list(parts)
    return Measurements(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES})


class Book:
    """What is recorded of R runs. It stays on their device until the book is closed: nothing waits for it.

    ``constants`` (R,) are those of the problem, by their names in :class:`Measurements`. Runs that are ``undefined``
    end with what is recorded first.
    """

    def __init__(
        self,
        like: Tensor,
        recorded: list[int],
        limit: float,
        constants: Mapping[str, Tensor],
        *,
        undefined: bool = False,
    ) -> None:
        self._place = {iteration: place for place, iteration in enumerate(recorded)}
        self._recorded, self._limit, self._constants = recorded, limit, constants
        self._undefined = undefined
        self._poisoned = torch.zeros(len(like), dtype=torch.bool, device=like.device)
        self._values = torch.full(
            (len(QUANTITIES), len(like), len(recorded)), torch.nan, dtype=torch.float64, device=like.device
        )

    def wants(self, iteration: int) -> bool:
        """Whether an iteration is recorded."""
        return iteration in self._place

    def since_last(self, iteration: int) -> int:
        """Iterations done since the recorded one before this."""
        place = self._place[iteration]
        return iteration - self._recorded[place - 1] if place else 1

    def begin(self, lies: Tensor, aggregate: Tensor) -> None:
        """Look at the lies (R, f, D) of the first iteration, and at what the server makes of them (R, D).

        Liars who send infinities or NaN do so throughout, and a rule that lets them through does so at once.
        """
        self._poisoned = ~(lies.isfinite().flatten(1).all(dim=-1) | aggregate.isfinite().all(dim=-1))

    def enter(self, iteration: int, **measured: Tensor) -> None:
        """Record quantities (R,) of an iteration."""
        self._values[:, :, self._place[iteration]] = torch.stack([measured[name].double() for name in QUANTITIES])

    def all_ended(self, iteration: int) -> bool:
        """Whether no run is left, by what is recorded of an iteration. Waits for the device."""
        loss = self._values[0].cpu().numpy()
        return not self._goes_on(loss[:, [0, self._place[iteration]]])[:, 1].any()

    def close(self) -> Measurements:
        """All of it; of a run that ended early, what was before."""
        values: NDArray[Any] = self._values.cpu().numpy()
        status, place = self._statuses(values[0])
        at = np.where(status == Status.FINISHED, NEVER, np.asarray(self._recorded)[place])
        end = np.where(status == Status.FINISHED, len(self._recorded), place + (status == Status.UNDEFINED))
        values[:, np.arange(len(self._recorded)) >= end[:, None]] = np.nan
        constants = {name: value.double().cpu().numpy() for name, value in self._constants.items()}
        return Measurements(**dict(zip(QUANTITIES, values, strict=True)), **constants, status=status, status_at=at)

    def _goes_on(self, loss: NDArray[Any]) -> NDArray[np.bool_]:
        """Where losses (R, n) are finite and within the limit."""
        with np.errstate(over="ignore"):
            limit = self._limit * loss[:, :1]
        within: NDArray[np.bool_] = np.isfinite(loss) & (loss <= limit)
        return within

    def _statuses(self, loss: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.intp]]:
        """What became of each run by its losses (R, n), and the place among the recorded iterations where it ended."""
        ended = ~self._goes_on(loss)
        place = ended.argmax(axis=-1)
        if self._undefined:
            return np.full(len(loss), Status.UNDEFINED, dtype=np.int8), np.zeros_like(place)
        last = loss[np.arange(len(loss)), place]
        status = np.select(
            [~ended.any(axis=-1), np.isfinite(last), self._poisoned.cpu().numpy() & (place > 0)],
            [Status.FINISHED, Status.DIVERGED, Status.POISONED],
            Status.OVERFLOWED,
        )
        return status.astype(np.int8), place


class Ledger:
    """What has added up since the start, (R,): bits sent, iterations not decoded or wrongly."""

    def __init__(self, theta: Tensor) -> None:
        self._same = 0  # bits that do not depend on what is sent
        self._bits = torch.zeros(len(theta), dtype=torch.float64, device=theta.device)
        self._failed, self._wrong = torch.zeros_like(self._bits), torch.zeros_like(self._bits)

    def sent(self, bits: int | Tensor, devices: int) -> None:
        """Count what all devices sent in an iteration."""
        if isinstance(bits, int):
            self._same += bits * devices
        else:
            self._bits = self._bits + bits.sum(dim=-1)

    def decoded(self, answer: Answer, gradient: Tensor, scale: Tensor) -> None:
        """Count what the decoder noticed, and what is wrong."""
        assert answer.failed is not None
        self._failed = self._failed + answer.failed
        self._wrong = self._wrong + ~(lengths(answer.aggregate - gradient) <= EXACT * scale)

    def totals(self) -> dict[str, Tensor]:
        """The counts, by their names in a trajectory."""
        return {"bits_sent": self._bits + self._same, "decoding_failures": self._failed, "decoding_errors": self._wrong}


def dispersion(among: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    """How far honest messages (R, H, D) are apart, and their mean from the gradient; NaN where messages are none."""
    if among.shape[-1] != gradient.shape[-1]:
        nothing = torch.full_like(gradient[:, 0], torch.nan)
        return {"honest_dispersion": nothing, "coding_bias": nothing}
    centre = among.mean(dim=-2)
    away = (among - centre.unsqueeze(-2)).flatten(-2)
    return {
        "honest_dispersion": lengths(away) / among.shape[-2] ** 0.5,
        "coding_bias": lengths(centre - gradient),
    }


def gradients_per_iteration(held: NDArray[np.int32]) -> NDArray[np.int64]:
    """Gradients of subsets that all devices together compute in one iteration, (R,)."""
    computed: NDArray[np.int64] = (held != EMPTY).sum(axis=(1, 2))
    return computed
