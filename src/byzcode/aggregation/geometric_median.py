"""Geometric median (Weiszfeld 1937; Vardi and Zhang 2000; for robustness RFA, Pillutla et al. 2019, 1912.13445)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from byzcode.kernels.distances import largest, surely_finite
from byzcode.kernels.order import median, sort_devices
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Tolerance = Annotated[float, Field(gt=0, lt=1, description="A step shorter than this part of the spread is the last.")]
Steps = Annotated[int, Field(ge=1, description="At most so many steps.")]

#: Every so many steps it is tried whether a message is nearer to the least sum.
_ROUND = 4

#: So many steps are made on a GPU, which is not asked whether fewer do. Of 7000 hard cases (lies that coincide, copies,
#: grids, a median beside a message) 1 in 1000 was then farther from its end than 1e-12 of the spread, the worst 3e-9.
_UNASKED = 48

#: An array of numpy (on the CPU, where small operations cost a third of torch's) or of torch; ``xp`` names which.
#: numpy's einsum uses no library of matrix products, whose bits depend on addresses and threads.
_Array = Any


def geometric_median(messages: Tensor, f: int, *, tolerance: Tolerance = 1e-14, steps: Steps = 400) -> Tensor:
    """The point with the least sum of distances to the messages, to convergence.

    Shapes: (..., N, D) to (..., D). Cost: N D a step. Conjugate gradients, with Weiszfeld's step as the gradient, from
    the coordinate-wise median; some 10 steps (on a GPU always 48), where Weiszfeld's own take 30 to thousands. It
    stops when a step is shorter than ``tolerance`` times the spread (the median, over messages, of the largest
    coordinate of their distance from the start), when the pulls balance to rounding, or on a message that outweighs
    the pull of the others. Messages that are not finite pull in no direction. Bears f < N/2 liars. Robustness (Allouah
    et al. 2023, 2302.01772), a = f / (N - 2 f): kappa <= 4 (1 + a)^2.
    """
    origin = median(messages)
    points, far, unit = _to_scale(messages - origin.unsqueeze(-2))
    shortest = max(tolerance, torch.finfo(messages.dtype).eps)
    accuracy = torch.finfo(messages.dtype).eps * messages.shape[-2]
    if messages.device.type == "cpu":
        # One by one: numpy's sums over long rows may depend on what is beside them.
        point = torch.empty_like(origin)
        with np.errstate(all="ignore"):
            for place in np.ndindex(far.shape[:-1]):
                least = _least(np, points[place].numpy(), far[place].numpy(), shortest, accuracy, steps)
                point[place] = torch.from_numpy(least)
    else:
        point = _least(torch, points, far, shortest, accuracy, min(steps, _UNASKED))
    return origin + unit * point


def _least(xp: Any, points: _Array, far: _Array, shortest: float, accuracy: float, steps: int) -> _Array:
    """The point, (..., D), of points (..., N, D); ``far`` (..., N) is infinite where one does not pull, else 0."""
    point, rooms = xp.zeros_like(points[..., 0, :]), (xp.empty_like(points), xp.empty_like(points))
    before, direction, slope_before, done = point, point, xp.inf, point[..., :1] != 0
    for number in range(steps):
        pull = _pull(xp, points, far, point, rooms[0])
        downhill = pull.step()
        # Polak and Ribiere's direction, or Weiszfeld's where that would lead uphill.
        share = pull.along(downhill - before) / slope_before
        direction = downhill + xp.where(share > 0, share, 0.0) * direction
        direction = xp.where(pull.along(direction) > 0, direction, downhill)
        length, better = pull.line(direction)
        step = xp.where(better, length * direction, downhill)
        before, slope_before = downhill, pull.along(downhill)
        moves = pull.strength > xp.where(pull.held > 0, pull.held, accuracy)  # false for NaN
        # What is done stays as it is: an entry of a batch does not depend on when the others are done.
        point = xp.where(done | ~moves, point, point + step)
        done = done | ~moves | (_dot(xp, step, step) <= shortest**2)
        if xp is np and done.all():
            break
        if number % _ROUND == _ROUND - 1:
            point = xp.where(done, point, _by_a_message(xp, points, far, point, rooms))
    return point


class _Pull(NamedTuple):
    """The pulls of all messages on a point: unit vectors, whose sum is down the gradient of the sum of distances."""

    xp: Any
    away: _Array  # (..., N, D) from the point to the messages
    square: _Array  # (..., N) of the distances; infinite where a message does not pull
    inverse: _Array  # (..., N) of the distances, 0 where there is none
    force: _Array  # (..., D)
    strength: _Array  # (..., 1) of the force
    held: _Array  # (..., 1) messages that the point stands on

    def along(self, direction: _Array) -> _Array:
        """The part of the force in a direction, times its length, (..., 1)."""
        return _dot(self.xp, self.force, direction)

    def step(self) -> _Array:
        """Weiszfeld's step, shortened by Vardi and Zhang where the point stands on a message."""
        total, loose = self.inverse.sum(axis=-1, keepdims=True), 1 - self.held / self.strength
        part = self.xp.where(self.held > 0, self.xp.where(loose > 0, loose, 0.0), 1.0) / total
        return self.xp.where(total > 0, part, 0.0) * self.force

    def line(self, direction: _Array) -> tuple[_Array, _Array]:
        """Newton's step, (..., 1), for the sum of distances along a line, and whether it is less steep there."""
        xp = self.xp
        along = xp.einsum("...nd,...d->...n", self.away, direction)
        square = _dot(xp, direction, direction)
        slope = self.held * xp.sqrt(square) - self.along(direction)
        curvature = (self.inverse * (square - xp.square(along * self.inverse))).sum(axis=-1, keepdims=True)
        length = xp.where(curvature > 0, -slope / curvature, 1.0)
        ahead = length * square - along
        there = self.square + length * (ahead - along)
        steepness = xp.where(there > 0, ahead / xp.sqrt(there), 0.0).sum(axis=-1, keepdims=True)
        return length, abs(steepness) <= abs(slope)


def _pull(xp: Any, points: _Array, far: _Array, point: _Array, room: _Array) -> _Pull:
    """In ``room``, which is as large as ``points``: to have a new one each time takes longer than to fill it."""
    away = xp.subtract(points, point[..., None, :], out=room)
    square = xp.einsum("...nd,...nd->...n", away, away) + far
    inverse = xp.where(square > 0, 1 / xp.sqrt(square), 0.0)
    force = xp.einsum("...n,...nd->...d", inverse, away)
    held = (square == 0).sum(axis=-1, keepdims=True, dtype=square.dtype)
    return _Pull(xp, away, square, inverse, force, xp.sqrt(_dot(xp, force, force)), held)


def _by_a_message(xp: Any, points: _Array, far: _Array, point: _Array, rooms: tuple[_Array, _Array]) -> _Array:
    """The point, or a better one at the nearest message, where steps are slow.

    That message, if those that stand there outweigh the pull of the others; if they nearly do, the least sum of
    distances is beside it.
    """
    away = xp.subtract(points, point[..., None, :], out=rooms[0])
    square = xp.einsum("...nd,...nd->...n", away, away) + far
    take = np.take_along_axis if xp is np else torch.take_along_dim
    nearest = take(points, square.argmin(axis=-1)[..., None, None], -2)[..., 0, :]
    pull = _pull(xp, points, far, nearest, rooms[1])
    step = pull.step()
    beside = nearest + pull.line(step)[0] * step
    there = xp.subtract(points, beside[..., None, :], out=rooms[1])
    distance = xp.sqrt(square) + xp.sqrt(xp.einsum("...nd,...nd->...n", there, there))
    # The sum of distances here less that there, from squares: between huge ones the difference would drown.
    there += away
    saved = xp.einsum("...nd,...d->...n", there, beside - point) / distance
    return xp.where(saved.sum(axis=-1, keepdims=True) > 0, beside, point)


def _dot(xp: Any, one: _Array, other: _Array) -> _Array:
    """Of (..., D) each, (..., 1)."""
    return xp.einsum("...d,...d->...", one, other)[..., None]


def _to_scale(away: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Messages in units of their spread, (..., N, D), infinity where one is not finite, else 0, (..., N), and the unit.

    In place. Those beyond eps^-2 units come nearer: their direction is the same to rounding, and their squares do not
    overflow.
    """
    size = largest(away)
    unit = sort_devices(size)[..., size.shape[-2] // 2, :].unsqueeze(-2)
    unit = torch.where(unit > 0, unit, 1.0)
    divisor = torch.maximum(size, unit)
    points = away.div_(divisor).mul_((divisor / unit).clamp_(max=torch.finfo(away.dtype).eps ** -2))
    lost = ~size.isfinite()
    if not surely_finite(size):
        points.masked_fill_(lost, 0.0)
    return points, torch.zeros_like(size).masked_fill_(lost, torch.inf).squeeze(-1), unit.squeeze(-2)
