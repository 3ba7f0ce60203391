"""Geometric median (Weiszfeld 1937; Vardi and Zhang 2000; for robustness RFA, Pillutla et al. 2019, 1912.13445)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, repeat
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from pydantic import Field

from byzcode.aggregation.rule import Rule, minority, unevenness
from byzcode.kernels.distances import largest, surely
from byzcode.kernels.order import median, sort_devices
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Tolerance = Annotated[float, Field(gt=0, lt=1, description="A step shorter than this part of the spread is the last.")]
Steps = Annotated[int, Field(ge=1, description="The largest number of steps.")]

#: The number of Newton steps on the sum of distances itself. They suffice unless messages lie close to the path.
_DIRECT = 10

#: Then each distance d becomes sqrt(d^2 + blur^2): the number of steps at each blur, and the blurs in units of the
#: spread.
_EACH, _BLURS = 3, [10.0**-power for power in range(17)]

#: The message nearest to the point is tried once in this number of steps.
_ROUND = 3

#: A point is accepted if it is the exact minimum for messages that differ from these by at most this many roundings.
_ROUNDINGS = 4.0

#: This many times fewer roundings are allowed during Newton steps on the sum itself, which still gain near a message.
_STRICTER = 8.0

#: Newton's step is accurate if it is at most this part of the distance to the nearest message.
_REACH = 0.1

#: A line search compares steps of these lengths, in units of Newton's step, and then 16 lengths between the best two.
_LENGTHS = [4.0**power for power in range(-30, 11)]


def geometric_median(messages: Tensor, f: int, *, tolerance: Tolerance = 1e-14, steps: Steps = 400) -> Tensor:
    """The point with the least sum of distances to the messages, to convergence.

    Shapes: (..., N, D) to (..., D). Newton's method with a line search, in float64, starts at the coordinate-wise
    median. A step costs N D min(N, D); about 5 steps are made, up to 60 if messages nearly coincide (on a GPU always
    61). If every point of a segment minimises the sum (messages on a line, N even), the result is the coordinate-wise
    median: the middle.

    The point is returned once it is certified: the pulls of the messages balance, and a message within a few roundings
    of the point may pull with any force up to 1. By duality, the sum of distances is then within a few roundings of the
    least, whether messages coincide exactly, nearly, or not. Otherwise the method ends with a step that is shorter than
    both ``tolerance`` times the spread and a tenth of the distance to the nearest message, within which Newton's step
    is accurate. The spread is the median, over messages, of the largest coordinate of their distance from the start.

    Messages that are not finite do not pull. Tolerates f < N/2 liars. Robustness (Allouah et al. 2023, 2302.01772),
    a = f / (N - 2 f): kappa <= 4 (1 + a)^2.
    """
    precise = messages.double()
    origin = median(precise)
    points, lost, unit = _to_scale(precise - origin.unsqueeze(-2))
    if messages.device.type == "cpu":
        # Compute the entries separately, so that each has the same bits alone and in a batch.
        point = torch.empty_like(points[..., 0, :])
        for place in np.ndindex(points.shape[:-2]):
            point[place] = _least(points[place], lost[place], tolerance, steps)
    else:
        point = _least(points, lost, tolerance, min(steps, _DIRECT + _EACH * len(_BLURS)))
    return (origin + unit * point).to(messages.dtype)


def _least(points: Tensor, lost: Tensor, shortest: float, steps: int) -> Tensor:
    """The point, (..., D), of points (..., N, D) without those that are ``lost``, (..., N)."""
    if points.shape[-1] > points.shape[-2]:  # the result lies in their span: N coordinates are enough
        basis, coordinates = torch.linalg.qr(points.mT)
        inside = _least(coordinates.mT.contiguous(), lost, shortest, steps)
        point: Tensor = basis @ inside.unsqueeze(-1)
        return point.squeeze(-1)
    slack = _ROUNDINGS * torch.finfo(points.dtype).eps * (1 + torch.linalg.vector_norm(points, dim=-1))
    point = torch.zeros_like(points[..., 0, :])
    done = torch.zeros_like(point[..., :1], dtype=torch.bool)
    blurs = chain(repeat(0.0, _DIRECT), *(repeat(blur, _EACH) for blur in _BLURS), repeat(_BLURS[-1]))
    for number, blur in zip(range(steps), blurs, strict=False):
        pulls = _pulls(points, lost, point)
        direct = 0 < number < _DIRECT
        done = done | pulls.balance(slack / _STRICTER if direct else slack)
        if number % _ROUND == _ROUND - 1:
            nearest = torch.take_along_dim(points, pulls.square.argmin(dim=-1)[..., None, None], dim=-2)[..., 0, :]
            around = _pulls(points, lost, nearest)
            certified = around.balance(slack) & ~done
            point, done = torch.where(certified, nearest, point), done | certified
            if direct and not surely(done):  # near a message that almost balances, steps from afar are small
                beside = nearest + around.step(0.0)
                better = _saved(pulls, _pulls(points, lost, beside), beside - point) > 0
                point = torch.where(better & ~done, beside, point)
                pulls = _pulls(points, lost, point)
        if surely(done):
            break
        step = pulls.step(blur)
        # Points that are done stay unchanged.
        point = torch.where(done, point, point + step)
        if blur in (0.0, _BLURS[-1]):
            length = _norm(step)
            reach = _REACH * (pulls.square.amin(dim=-1, keepdim=True) + blur**2).sqrt()
            done = done | ((length <= shortest) & (length <= reach))
    return point


class _Pulls(NamedTuple):
    """The messages relative to a point: their differences ``away`` (..., N, D), and the squared distances (..., N).

    A message that does not pull is infinitely far.
    """

    away: Tensor
    square: Tensor

    def balance(self, slack: Tensor) -> Tensor:
        """Whether the point minimises the sum if messages may move by ``slack`` (..., N); (..., 1), true for NaN.

        With h_i = min(1, slack_i / d_i), y_i = (1 - h_i) u_i + h_i w has a norm of at most 1 for every unit vector w.
        If the y_i add up to 0 for some w, sum_i <y_i, m_i> is a lower bound for the sum of distances (the dual
        problem). This bound is less than the sum at the point by at most 2 sum_i slack_i.
        """
        inverse = _inverse(self.square)
        loose = (slack / self.square.sqrt()).clamp(max=1.0)
        force = _combined((1 - loose) * inverse, self.away)
        return ~(_norm(force) > loose.sum(dim=-1, keepdim=True))

    def step(self, blur: float) -> Tensor:
        """Newton's step for the sum of blurred distances, (..., D), with a length at which the sum is about least."""
        square = self.square + blur**2
        inverse = _inverse(square)
        force = _combined(inverse, self.away)
        total = inverse.sum(dim=-1, keepdim=True)
        rows = self.away * (inverse * inverse.sqrt()).unsqueeze(-1)
        curvature = rows.mT @ rows
        # In units of the total, which is the curvature across a message that outweighs the others.
        curvature = curvature.div_(-total.unsqueeze(-1))
        curvature.diagonal(dim1=-2, dim2=-1).add_(1 + 64 * torch.finfo(square.dtype).eps)
        factor, failed = torch.linalg.cholesky_ex(curvature)
        downhill = force / total
        half = torch.linalg.solve_triangular(factor, downhill.unsqueeze(-1), upper=False)
        newton = torch.linalg.solve_triangular(factor.mT, half, upper=True).squeeze(-1)
        # On a message, where the curvature is infinite, go in the direction of the force.
        simple = (failed.unsqueeze(-1) != 0) | (square == 0).any(dim=-1, keepdim=True)
        direction: Tensor = torch.where(simple, downhill, newton)
        return self._length(direction, square, blur, inverse) * direction

    def _length(self, direction: Tensor, square: Tensor, blur: float, inverse: Tensor) -> Tensor:
        """The length of a step, (..., 1): 1 if the slope falls to a tenth there, else where the slope is about 0."""
        along = (self.away @ direction.unsqueeze(-1)).squeeze(-1)
        norm = torch.linalg.vecdot(direction, direction)[..., None, None]

        def slopes(lengths: Tensor) -> Tensor:
            """The slopes of the sum of blurred distances after steps of lengths (..., K), (..., K)."""
            ahead = lengths.unsqueeze(-2) * norm - along.unsqueeze(-1)
            there = square.unsqueeze(-1) + lengths.unsqueeze(-2) * (ahead - along.unsqueeze(-1))
            slope: Tensor = (ahead * _inverse(there.clamp(min=blur**2))).sum(dim=-2)
            return slope

        full = torch.ones_like(norm[..., 0])
        initial = (inverse * along).sum(dim=-1, keepdim=True)
        accepted = slopes(full).abs() <= 0.1 * initial.abs()
        if surely(accepted):
            return full
        return torch.where(accepted, full, _turning_length(slopes, full))


def _turning_length(slopes: Callable[[Tensor], Tensor], full: Tensor) -> Tensor:
    """The length at which slopes, which increase from below 0, are about 0, (..., 1)."""
    tried = torch.tensor([0.0, *_LENGTHS], dtype=full.dtype).to(full.device)
    down = (slopes(full * tried[1:]) < 0).sum(dim=-1, keepdim=True).clamp_(max=len(_LENGTHS) - 1)
    low, high = tried[down], tried[down + 1]
    between = low + (high - low) * torch.linspace(0, 1, 17, dtype=full.dtype, device=full.device)
    inner = slopes(between)
    left = ((inner < 0).sum(dim=-1, keepdim=True) - 1).clamp_(min=0, max=15)
    before, after = inner.gather(-1, left), inner.gather(-1, left + 1)
    share = torch.where(after > before, before / (before - after), 0.0).clamp_(min=0, max=1)
    return between.gather(-1, left) + share * (high - low) / 16


def _saved(first: _Pulls, second: _Pulls, step: Tensor) -> Tensor:
    """The sum of distances at the first point minus that at the second, (..., 1), without cancellation."""
    both = (first.square.sqrt() + second.square.sqrt()).unsqueeze(-1)
    return (
        _combined(torch.where(both > 0, 1 / both, 0.0).squeeze(-1), first.away + second.away)
        .mul(step)
        .sum(-1, keepdim=True)
    )


def _pulls(points: Tensor, lost: Tensor, point: Tensor) -> _Pulls:
    away = points - point.unsqueeze(-2)
    return _Pulls(away, torch.linalg.vecdot(away, away).masked_fill(lost, torch.inf))


def _inverse(square: Tensor) -> Tensor:
    """One over the square root, and 0 for 0."""
    return torch.where(square > 0, square.rsqrt(), 0.0)


def _combined(weights: Tensor, rows: Tensor) -> Tensor:
    """Weights (..., N) times rows (..., N, D), (..., D)."""
    return (weights.unsqueeze(-2) @ rows).squeeze(-2)


def _norm(vectors: Tensor) -> Tensor:
    square: Tensor = torch.linalg.vecdot(vectors, vectors)
    return square.sqrt().unsqueeze(-1)


def _to_scale(away: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The messages in units of their spread (..., N, D), a mask of those not finite (..., N), and the unit (..., 1).

    Works in place. Messages beyond eps^-2 units are moved nearer: their direction stays the same to rounding, and their
    squares do not overflow.
    """
    size = largest(away)
    unit = sort_devices(size)[..., size.shape[-2] // 2, :].unsqueeze(-2)
    unit = torch.where(unit > 0, unit, 1.0)
    divisor = torch.maximum(size, unit)
    points = away.div_(divisor).mul_((divisor / unit).clamp_(max=torch.finfo(away.dtype).eps ** -2))
    lost = ~size.isfinite()
    return points.masked_fill_(lost, 0.0), lost.squeeze(-1), unit.squeeze(-2)


def kappa(devices: int, f: int) -> float:
    """4 (1 + f / (N - 2 f))^2 (Allouah et al. 2023)."""
    return 4 * (1 + unevenness(devices, f)) ** 2


ENTRY = Rule(geometric_median, minority, kappa=kappa)
