"""One attempt to decode DRACO's cyclic code: locate the liars, erase them, and check the other messages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from byzcode.kernels.distances import largest, power_of_two
from byzcode.kernels.native import function
from byzcode.lazy import torch
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

#: Number of coordinates that are summed side by side; as in erase.cpp.
_LANES = 8

#: A message this many times larger than the (s + 1)-th largest is taken for a lie: one of those s + 1 is honest.
OUT_OF_SCALE = 1e3


def screened(messages: Tensor, liars: int) -> tuple[Tensor, Tensor]:
    """Which messages (R, N, 2 D) are lies at first sight, (R, N), and a power of two near the others' size, (R, 1)."""
    size = largest(messages).squeeze(-1).nan_to_num(nan=torch.inf, posinf=torch.inf)
    scale = size.topk(liars + 1).values[..., -1:]
    known = ~(size <= OUT_OF_SCALE * scale) | size.isinf()
    return known, power_of_two(torch.where((scale > 0) & scale.isfinite(), scale, 1.0).double())


@dataclass(frozen=True, eq=False)
class Eraser:
    """For messages of 2 D numbers, real and imaginary parts, of N devices of which s may lie.

    Times the ``phases`` (N,) they are a codeword if the real ``checks`` (2 s, N), orthonormal rows, are 0 on them. Then
    their product with the phases, divided by N, is the gradient. ``none`` and ``some`` are the largest residuals that
    are allowed without and with erasures.
    """

    phases: NDArray[np.complex128]
    checks: NDArray[np.float64]
    dimension: int
    none: float
    some: float

    def __call__(self, messages: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient, (R, D), and the residual in units of the largest that is allowed, (R,), more than 1 on failure.

        Messages (R, N, 2 D) in double precision on the CPU. Then the gradient is 0.

        A phase per device makes the checks real: then real and imaginary parts of the messages are columns of their
        own. First without erasures. If the residual is too large, the space of the lies is that of s random sums of
        coordinates, and the s devices whose checks are nearest to it are erased (MUSIC). This finds lies that are
        linearly independent. Cost: s N D for the check, and s^2 N.
        """
        runs, devices = messages.shape[:2]
        gradient, doubt = messages.new_zeros(runs, self.dimension), messages.new_empty(runs)
        compiled = function("erase", messages)
        if compiled is None:
            known, unit = screened(messages, self._liars)
            lost = known.sum(dim=-1) > self._liars
            for run in range(runs):
                if lost[run]:
                    doubt[run] = torch.inf
                    continue
                made, residual = self._plain(messages[run].numpy(), known[run].numpy(), 1 / float(unit[run]))
                doubt[run] = residual
                if residual <= 1:
                    gradient[run] = torch.from_numpy(made) * unit[run]
        else:
            messages = messages.contiguous()
            sizes = (runs, devices, self._liars, self.dimension)
            compiled(messages.data_ptr(), *self._places, gradient.data_ptr(), doubt.data_ptr(), *sizes)
        return gradient, doubt

    @cached_property
    def _constants(self) -> tuple[NDArray[np.float64], ...]:
        """Phases (2, N), checks and leading row (2 s + 2, N), factors of the sketch (D,), its norms (s,), residuals."""
        turn = np.stack([self.phases.real, self.phases.imag])
        rows = np.concatenate([self.checks, turn / len(self.phases)])
        mixture = Stream(0, "sketch").at(0).standard_normal(self.dimension)
        # A syndrome of a sketch sums up those of a bucket. Without lies the norm of each is at most ``none``.
        sums = [np.abs(mixture[self._bucket == j % self._buckets]).sum() for j in range(self._liars)]
        return turn, rows, mixture, self.none * np.array(sums), np.array([self.none, self.some, OUT_OF_SCALE])

    @cached_property
    def _places(self) -> list[int]:
        return [constant.ctypes.data for constant in self._constants]

    @property
    def _liars(self) -> int:
        return len(self.checks) // 2

    @property
    def _buckets(self) -> int:
        return (self._liars + 1) // 2

    @property
    def _wide(self) -> int:
        """The number of sums of coordinates before they are added up in buckets."""
        return -(-self._buckets // _LANES) * _LANES

    @property
    def _bucket(self) -> NDArray[np.int64]:
        """The bucket of each coordinate, (D,)."""
        return np.arange(self.dimension) % max(self._wide, 1) % max(self._buckets, 1)

    def _plain(self, messages: NDArray[Any], known: NDArray[np.bool_], scale: float) -> tuple[NDArray[Any], float]:
        """The same for one run, with the sums in the order of erase.cpp."""
        turn, rows, mixture, loud, _ = self._constants
        s, checks = self._liars, len(self.checks)
        used = np.flatnonzero(~known)
        sums = self._sketch(messages, turn, mixture, scale, used)
        syndromes = _product(rows[:checks, used], sums)[:, :s]
        if (np.sqrt(_total(np.square(syndromes))) <= loud).all():
            gradient, residual = self._solve(rows[:, used], messages, turn, scale, used)
            if residual / self.none <= 1:
                return gradient, residual / self.none
        matrix = np.concatenate([rows[:checks], syndromes], axis=1)
        _reflect(matrix, len(self.phases) + np.arange(s))
        value = np.where(known, -1.0, _total(np.square(matrix[s:, : len(self.phases)])))
        liars = np.sort(value.argsort(kind="stable")[:s])
        rows = rows.copy()
        _reflect(rows[:checks], liars)
        for j, liar in enumerate(liars):
            rows[checks:] -= rows[checks:, liar, None] / rows[j, liar] * rows[j]
        used = np.setdiff1d(np.arange(len(self.phases)), liars)
        gradient, residual = self._solve(rows[s:, used], messages, turn, scale, used)
        return gradient, residual / self.some

    def _sketch(
        self, messages: NDArray[Any], turn: NDArray[Any], mixture: NDArray[Any], scale: float, used: NDArray[np.int64]
    ) -> NDArray[Any]:
        """The turned sums of coordinates, (n, 2 buckets): real parts, then imaginary parts."""
        sums = np.zeros((2, len(used), self._buckets))
        parts = messages[used].reshape(-1, 2, self.dimension).swapaxes(0, 1)
        if self._buckets:
            terms = np.pad(parts * scale * mixture, [(0, 0), (0, 0), (0, -self.dimension % self._wide)])
            terms = np.moveaxis(terms.reshape(2, len(used), -1, self._wide), 2, 0)
            lanes = np.add.accumulate(terms, axis=0)[-1]
            for lane in range(self._wide):
                sums[..., lane % self._buckets] += lanes[..., lane]
        return np.concatenate(_turned(sums[0], sums[1], turn[:, used, None]), axis=-1)

    def _solve(
        self, rows: NDArray[Any], messages: NDArray[Any], turn: NDArray[Any], scale: float, used: NDArray[np.int64]
    ) -> tuple[NDArray[Any], float]:
        """The gradient (D,), by the last two rows, and the largest norm of a syndrome, by the others."""
        real, imaginary = messages[used].reshape(-1, 2, self.dimension).swapaxes(0, 1) * scale
        made = _product(rows, np.concatenate(_turned(real, imaginary, turn[:, used, None]), axis=-1))
        first, second = made[:, : self.dimension], made[:, self.dimension :]
        both = np.stack([first[:-2], second[:-2]], axis=1).reshape(-1, self.dimension)
        return first[-2] - second[-1], float(np.sqrt(_total(np.square(both)).max()))


def _turned(real: NDArray[Any], imaginary: NDArray[Any], turn: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    return turn[0] * real - turn[1] * imaginary, turn[1] * real + turn[0] * imaginary


def _product(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """A matrix product (I, N) by (N, J), summed in the order of N."""
    made = np.zeros((len(left), right.shape[1]))
    for column, row in zip(left.T, right, strict=True):
        made += column[:, None] * row
    return made


def _total(values: NDArray[Any]) -> NDArray[Any]:
    """The sums (J,) of (I, J) over I, in order."""
    total = np.zeros(values.shape[1])
    for row in values:
        total += row
    return total


def _reflect(matrix: NDArray[Any], columns: NDArray[np.int64]) -> None:
    """Apply Householder's reflections to (2 s, K), which make the j-th of s columns 0 below row j."""
    for j, column in enumerate(columns):
        factor = matrix[j:, column].copy()
        norm = np.sqrt(_total(np.square(factor)[:, None]))[0]
        if norm == 0:
            continue
        factor /= norm
        scale = 1 / (1 + abs(factor[0]))
        factor[0] += -1 if factor[0] < 0 else 1
        matrix[j:] -= factor[:, None] * (scale * _total(factor[:, None] * matrix[j:]))
