"""The gradients of the subsets of a user's module, some subsets at a time: see :mod:`byzcode.problems.module`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from byzcode.errors import KeyedError, complain
from byzcode.kernels.distances import lengths
from byzcode.kernels.gather import Code, coded_rows
from byzcode.kernels.product import product
from byzcode.lazy import torch
from byzcode.problems.labelled import Labelled, share_right
from byzcode.problems.users_module import Model

if TYPE_CHECKING:
    from torch import Tensor

#: Numbers that a block of examples keeps for its gradients, and numbers in the gradients that are computed at a time.
BLOCK = 1 << 22
#: Numbers in the gradients of all subsets of a run up to which they are kept during an iteration.
KEPT = 1 << 27


@contextmanager
def _in_training() -> Iterator[None]:
    """Compute gradients although a training is in inference mode. An error of the user's code becomes a UserError."""
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    except KeyedError as error:
        raise complain("training", f"problem.{error.key}", error.value, error.allowed) from None


@dataclass(frozen=True, eq=False)
class Forward:
    """theta (R, D), the targets (R, K, C), and the gradients of the subsets, when needed."""

    problem: ModuleProblem
    theta: Tensor
    targets: Tensor

    @cached_property
    def kept(self) -> Tensor:
        """The gradients of all subsets, (R, M, D)."""
        made = self.theta.new_empty(*self.problem.sizes.shape, self.theta.shape[-1])
        for run in range(len(self.theta)):
            for subsets, gradients in self.problem.blocks(self, run):
                made[run, subsets] = gradients
        return made

    def blocks(self, run: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The gradients of all subsets of a run, (B, D), with the numbers of these subsets, (B,)."""
        if self.problem.few:
            yield torch.arange(self.problem.sizes.shape[1], device=self.theta.device), self.kept[run]
        else:
            yield from self.problem.blocks(self, run)


@dataclass(frozen=True, eq=False)
class ModuleProblem(Labelled):
    """R problems of one shape, one per seed; see :func:`byzcode.problems.module.module`.

    ``first`` (R, D) has the first parameters, ``kept`` the numbers that the gradient of an example needs.
    """

    first: Tensor
    model: Model
    kept: int

    @property
    def few(self) -> bool:
        """Whether the gradients of all subsets are kept during an iteration."""
        return self.sizes.shape[1] * self.first.shape[-1] <= KEPT

    def start(self) -> Tensor:
        """theta^0, (R, D): as the factory makes it."""
        return self.first

    def forward(self, theta: Tensor) -> Forward:
        """Nothing yet: loss and gradients are computed when they are needed."""
        return Forward(self, theta, self.targets)

    def loss(self, forward: Forward) -> Tensor:
        """F, (R,)."""
        means = []
        for theta, features, targets in zip(forward.theta, self.features, forward.targets, strict=True):
            labels = targets.argmax(dim=-1)
            with _in_training():
                parts = [
                    self.model.losses(theta.clone(), features[own].clone(), labels[own].clone())
                    for own in self._examples(len(features))
                ]
            means.append(torch.cat(parts).mean())
        return torch.stack(means)

    def test_accuracy(self, forward: Forward) -> Tensor:
        """The share of test examples whose class has the largest score, (R,); in a tie of n classes it counts 1/n."""
        scores = []
        for theta, features in zip(forward.theta, self.test_features, strict=True):
            with _in_training():
                blocks = [features[own].clone() for own in self._examples(len(features))]
                scores.append(torch.cat([self.model.scores(theta.clone(), block) for block in blocks]))
        return share_right(torch.stack(scores), self.test_targets)

    def _examples(self, count: int) -> list[slice]:
        """So many examples, some at a time."""
        width = max(1, BLOCK // self.kept)
        return [slice(first, min(first + width, count)) for first in range(0, count, width)]

    def gradient(self, forward: Forward) -> Tensor:
        """The gradient of F, (R, D)."""
        if self.few:
            return forward.kept.mean(dim=-2)
        runs = range(len(self.first))
        sums = [_total(gradients.sum(dim=0) for _, gradients in forward.blocks(run)) for run in runs]
        return torch.stack(sums) / self.sizes.shape[1]

    def heterogeneity(self, forward: Forward, gradient: Tensor) -> Tensor:
        """The root mean squared distance of the gradients of the subsets from that of F, (R,)."""
        return lengths(self._distances(forward, gradient)) / math.sqrt(self.sizes.shape[1])

    def largest_heterogeneity(self, forward: Forward, gradient: Tensor) -> Tensor:
        """The largest of these distances, (R,)."""
        return self._distances(forward, gradient).amax(dim=-1)

    def _distances(self, forward: Forward, gradient: Tensor) -> Tensor:
        made = gradient.new_empty(*self.sizes.shape)
        for run, mean in enumerate(gradient):
            for subsets, gradients in forward.blocks(run):
                made[run, subsets] = lengths(gradients - mean)
        return made

    def relabelled(self, forward: Forward) -> Forward:
        """The result of ``forward`` if each example of class c had the opposite class, C - 1 - c."""
        return replace(forward, targets=forward.targets.flip(-1))

    def coded_gradients(self, forward: Forward, code: Code) -> Tensor:
        """The honest messages, (R, N, D)."""
        if self.few:
            return coded_rows(forward.kept, self.features.new_ones(self.sizes.shape), code)
        assigned, weight = code.settled
        held = weight.new_zeros(*assigned.shape[:2], self.sizes.shape[1]).scatter_add_(-1, assigned, weight)
        return torch.stack(
            [
                _total(product(own[:, subsets], gradients) for subsets, gradients in forward.blocks(run))
                for run, own in enumerate(held)
            ]
        )

    # --- the gradients of the subsets ----------------------------------------------------------------------------

    def blocks(self, forward: Forward, run: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The gradients of the subsets of a run, computed some at a time: numbers (B,) of subsets, gradients (B, D).

        Subsets of about the same size are computed together. All have the size of the largest of them, with examples
        of weight 0. The result for a run does not depend on the other runs.
        """
        theta, features = forward.theta[run], self.features[run]
        labels, sizes = forward.targets[run].argmax(dim=-1), self.sizes[run]
        begins = sizes.cumsum(dim=0) - sizes
        factors = self.factors[run].expand(len(features))
        for subsets in self._divided(sizes.tolist()):
            own, begin = sizes[subsets][:, None], begins[subsets][:, None]
            places = torch.arange(int(own.max()))
            rows = (begin + torch.minimum(places, own - 1)).to(features.device)
            weights = (places < own).to(features) * factors[rows]
            width = max(1, BLOCK // (self.kept * len(subsets)))
            with _in_training():
                at = theta.clone()
                parts = (
                    self.model.gradients(at, features[some], labels[some], weight.clone())
                    for some, weight in zip(*(torch.split(each, width, dim=1) for each in (rows, weights)), strict=True)
                )
                gradients = _total(parts)
            yield subsets.to(features.device), gradients

    def _divided(self, sizes: Sequence[int]) -> Iterator[Tensor]:
        """The numbers of the subsets in each block, from the smallest subset to the largest, on the CPU."""
        order = sorted(range(len(sizes)), key=sizes.__getitem__)
        ends, begin, rows = [0], 0, max(1, BLOCK // self.first.shape[-1])
        for place, subset in enumerate(order):
            count = place - begin + 1
            if count > 1 and (count > rows or count * sizes[subset] * self.kept > BLOCK):
                begin = place
                ends.append(place)
        for start, end in pairwise([*ends, len(order)]):
            yield torch.tensor(order[start:end])


def _total(parts: Iterator[Tensor]) -> Tensor:
    """The sum of tensors that are made one at a time."""
    total = next(parts)
    for part in parts:
        total = total + part
    return total
