"""The records of a batch of runs during training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode.allocation import EMPTY
from byzcode.lazy import torch
from byzcode.specs import quantities
from byzcode.training.status import NEVER, Status

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measurements:
    """The measurements of R runs: arrays (R, number of recorded iterations), NaN after the end of a run, or (R,).

    A field is None if the problem does not know what is needed to measure it (:mod:`byzcode.specs.quantities`), or if
    it was not asked for.
    """

    loss: Floats
    excess_loss: Floats | None
    aggregation_error: Floats | None
    honest_dispersion: Floats | None
    coding_bias: Floats | None
    heterogeneity: Floats | None
    largest_heterogeneity: Floats | None
    gradient_norm: Floats | None
    distance_to_optimum: Floats | None
    bits_sent: Floats  # by all devices, cumulative
    decoding_failures: Floats  # iterations in which the decoder reported a failure, cumulative
    decoding_errors: Floats  # iterations in which the decoded gradient was wrong, cumulative
    smoothness: Floats | None  # (R,): L of the problem
    strong_convexity: Floats | None  # (R,): mu of the problem
    status: NDArray[np.int8]  # (R,): a Status
    status_at: NDArray[np.int64]  # (R,): the first recorded iteration with this status; NEVER if the seed finished
    estimated_f: Floats | None = None  # like the loss; if the server estimates f
    wall_time: Floats | None = None  # like the bits; if delays are modelled
    metrics: Mapping[str, Floats] = field(default_factory=dict)  # the problem's own metrics, by name

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Measurements:
        """Make Measurements from arrays by name; common fields that are absent become None."""
        common: dict[str, Any] = {name: arrays.get(name) for name in _NAMES}
        return cls(**common, metrics={name: array for name, array in arrays.items() if name not in common})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays that exist, by name."""
        values = {name: getattr(self, name) for name in _NAMES} | dict(self.metrics)
        return {name: array for name, array in values.items() if array is not None}

    def rows(self, first: int, last: int) -> Measurements:
        """The measurements of the runs ``first`` to ``last - 1``."""
        return Measurements.of({name: array[first:last] for name, array in self.arrays().items()})


_NAMES = [each.name for each in fields(Measurements) if each.name != "metrics"]
PER_SEED = (*quantities.CONSTANTS, "status", "status_at")
QUANTITIES = [name for name in _NAMES if name not in (*PER_SEED, quantities.ESTIMATE, quantities.WALL_TIME)]


def join(parts: Iterable[Measurements]) -> Measurements:
    """Concatenate the runs of all parts."""
    arrays = [part.arrays() for part in parts]
    return Measurements.of({name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]})


class Book:
    """The recorded values of R runs. They stay on the compute device until the book is closed, so no step waits.

    ``names`` are the quantities, with the loss first. ``constants`` are the constants of the problem (R,), by name.
    ``undefined`` runs end with their first record.
    """

    def __init__(
        self,
        like: Tensor,
        recorded: list[int],
        limit: float,
        constants: Mapping[str, Tensor],
        *,
        names: Sequence[str] = QUANTITIES,
        undefined: bool = False,
    ) -> None:
        self._place = {iteration: place for place, iteration in enumerate(recorded)}
        self._recorded, self._limit, self._constants = recorded, limit, constants
        self._names, self._undefined = names, undefined
        self._poisoned = torch.zeros(len(like), dtype=torch.bool, device=like.device)
        self._values = torch.full(
            (len(names), len(like), len(recorded)), torch.nan, dtype=torch.float64, device=like.device
        )

    def wants(self, iteration: int) -> bool:
        """Whether an iteration is recorded."""
        return iteration in self._place

    def since_last(self, iteration: int) -> int:
        """The number of iterations since the previous record."""
        place = self._place[iteration]
        return iteration - self._recorded[place - 1] if place else 1

    def begin(self, lies: Tensor, aggregate: Tensor) -> None:
        """Note which runs are poisoned, from the Byzantine messages (R, f, D) of iteration 0 and its aggregate (R, D).

        An attack that sends infinities or NaN sends them in every iteration, and a rule that does not remove them fails
        at once.
        """
        self._poisoned = ~(lies.isfinite().flatten(1).all(dim=-1) | aggregate.isfinite().all(dim=-1))

    def enter(self, iteration: int, **measured: Tensor) -> None:
        """Record the quantities (R,) of an iteration."""
        self._values[:, :, self._place[iteration]] = torch.stack([measured[name].double() for name in self._names])

    def all_ended(self, iteration: int) -> bool:
        """Whether all runs have ended by a recorded iteration. This waits for the compute device."""
        loss = self._values[0].cpu().numpy()
        return not self._goes_on(loss[:, [0, self._place[iteration]]])[:, 1].any()

    def close(self) -> Measurements:
        """Return all records. Records of a run from its end on become NaN (an undefined run keeps its first)."""
        values: NDArray[Any] = self._values.cpu().numpy()
        status, place = self._statuses(values[0])
        at = np.where(status == Status.FINISHED, NEVER, np.asarray(self._recorded)[place])
        end = np.where(status == Status.FINISHED, len(self._recorded), place + (status == Status.UNDEFINED))
        values[:, np.arange(len(self._recorded)) >= end[:, None]] = np.nan
        constants = {name: value.double().cpu().numpy() for name, value in self._constants.items()}
        recorded = dict(zip(self._names, values, strict=True))
        return Measurements.of({**recorded, **constants, "status": status, "status_at": at})

    def _goes_on(self, loss: NDArray[Any]) -> NDArray[np.bool_]:
        """Where losses (R, n) are finite and at most the limit times the first loss."""
        with np.errstate(over="ignore"):
            limit = self._limit * loss[:, :1]
        within: NDArray[np.bool_] = np.isfinite(loss) & (loss <= limit)
        return within

    def _statuses(self, loss: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.intp]]:
        """The status of each run, from its losses (R, n), and the index of the recorded iteration at which it ended."""
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


def gradients_per_iteration(assigned: NDArray[np.int32]) -> NDArray[np.int64]:
    """The number of subset gradients that all devices together compute in one iteration, (R,)."""
    computed: NDArray[np.int64] = (assigned != EMPTY).sum(axis=(1, 2))
    return computed
