"""What classification problems made of layers share: the gradients of the subsets, and the messages.

A model gives each example C scores. The loss of an example of class c is -log p_c, with p = softmax(scores). Each of K
examples is in one of M subsets, f_k is M/K times the sum of the losses of its examples, and F = (1/M) sum_k f_k
averages over all examples (:mod:`byzcode.problems.on_data`).

One forward and one backward pass over all K examples serve every device. They give, for each linear layer, the inputs
of the examples and the derivatives of their losses with respect to the outputs; the gradient of a subset is a product
of the two. The devices' messages are sparse sums of these gradients. Both are computed for some coordinates at a time,
so that the gradients of all subsets stay in the cache, and never take the memory of M D numbers if D is large.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from byzcode.kernels.distances import lengths
from byzcode.kernels.gather import Code, coded_rows
from byzcode.kernels.outer import Layer, is_sparse, takes
from byzcode.kernels.product import by_run
from byzcode.lazy import torch
from byzcode.problems import fused
from byzcode.problems.labelled import Labelled, share_right
from byzcode.problems.on_data import subset_products

if TYPE_CHECKING:
    from torch import Tensor

#: Numbers in the gradients of all subsets of a run that are computed at a time. A block should fit into the last-level
#: cache. Runs whose gradients fit into a block compute them once per iteration.
BLOCK = 1 << 23


@dataclass(frozen=True, eq=False)
class Forward(ABC):
    """theta (R, D), log probabilities (R, K, C) and targets (R, K, C), and the subsets' gradients, when needed.

    ``sizes`` (R, M), on the CPU, counts the examples of each subset. The gradient of a subset is the sum of those of
    its examples times ``factors``, (R, K) or (R, 1).
    """

    sizes: Tensor
    factors: Tensor
    theta: Tensor
    log_chances: Tensor
    targets: Tensor

    @cached_property
    def error(self) -> Tensor:
        """The derivatives of the losses of the subsets with respect to the scores, (R, K, C)."""
        return (by_run(torch.exp, self.log_chances) - self.targets) * self.factors.unsqueeze(-1)

    @abstractmethod
    def pieces(self) -> Iterator[Layer | Tensor]:
        """The linear layers, and gradients of the subsets (R, M, width) with respect to other parameters, in order."""

    @property
    def common(self) -> Tensor | None:
        """What the gradients of all subsets have in addition, (R, D), such as that of a ridge."""
        return None

    def parts(self) -> Iterator[Tensor]:
        """The gradients of all subsets, some coordinates at a time and in their order, each (R, M, width)."""
        first = 0
        for piece in self.pieces():
            for part in of_layer(piece) if isinstance(piece, Layer) else [piece]:
                last = first + part.shape[-1]
                yield part if self.common is None else part + self.common[:, None, first:last]
                first = last

    def gradients(self) -> Iterator[Tensor]:
        """The same, but computed once if they are small."""
        return iter(self._kept) if self.sizes.shape[1] * self.theta.shape[-1] <= BLOCK else self.parts()

    @cached_property
    def _kept(self) -> list[Tensor]:
        made = list(self.parts())
        return made if len(made) == 1 else [torch.cat(made, dim=-1)]

    def coded(self, code: Code) -> Tensor:
        """The coded gradients, (R, N, D)."""
        subsets = self.sizes.shape[1]
        if not (takes(self.theta) and is_sparse(code, subsets)):
            ones = self.targets.new_ones(self.sizes.shape)
            return joint([coded_rows(part, ones, code) for part in self.gradients()])
        runs, devices, _ = code.assigned.shape
        out = fused.messages(self.pieces(), of_layer, code, self.theta.new_empty(runs, devices, self.theta.shape[-1]))
        if self.common is None:
            return out
        return out.addcmul_(code.settled[1].sum(dim=-1, keepdim=True), self.common.unsqueeze(1))

    def mean(self) -> Tensor:
        """The mean of the gradients of the subsets, (R, D)."""
        if not takes(self.theta):
            return joint([part.mean(dim=-2) for part in self.gradients()])
        out = fused.mean(self.pieces(), torch.empty_like(self.theta))
        return out if self.common is None else out.add_(self.common)

    def distances(self, centre: Tensor) -> Tensor:
        """The distances of the gradients of the subsets from ``centre`` (R, D), (R, M); computed once per centre."""
        if not self._distances or self._distances[0] is not centre:
            self._distances[:] = [centre, self._distances_from(centre)]
        return self._distances[1]

    @cached_property
    def _distances(self) -> list[Tensor]:
        return []

    def _distances_from(self, centre: Tensor) -> Tensor:
        if takes(self.theta):
            away = centre if self.common is None else centre - self.common
            return fused.distances(self.pieces(), of_layer, away, self.sizes.shape[1])
        first, parts = 0, []
        for part in self.gradients():
            last = first + part.shape[-1]
            parts.append(lengths(part - centre[:, None, first:last]))
            first = last
        return parts[0] if len(parts) == 1 else lengths(torch.stack(parts, dim=-1))

    def relabelled(self) -> Forward:
        """The same if each example of class c had the opposite class, C - 1 - c."""
        return replace(self, targets=self.targets.flip(-1))


def of_layer(layer: Layer) -> Iterator[Tensor]:
    """The gradients of the weights (o, i) of a linear layer for all subsets, a few rows at a time: (R, M, rows i).

    Cost: K o i.
    """
    error, inputs, sizes = layer
    rows = max(1, BLOCK // (sizes.shape[1] * inputs.shape[-1]))
    for first in range(0, error.shape[-1], rows):
        yield subset_products(error[..., first : first + rows], inputs, sizes).flatten(-2)


@dataclass(frozen=True, eq=False)
class Classification(Labelled, ABC):
    """R classification problems of one shape, one per seed, whose models are layers."""

    @abstractmethod
    def start(self) -> Tensor:
        """The first iterate, (R, D)."""

    @abstractmethod
    def test_scores(self, theta: Tensor) -> Tensor:
        """The scores of the test examples at theta (R, D), (R, T, C)."""

    def loss(self, forward: Forward) -> Tensor:
        """F, (R,)."""
        of_class = (forward.log_chances * forward.targets).sum(dim=-1)
        return -of_class.mean(dim=-1)

    def gradient(self, forward: Forward) -> Tensor:
        """The gradient of F, (R, D)."""
        return forward.mean()

    def heterogeneity(self, forward: Forward, gradient: Tensor) -> Tensor:
        """The root mean squared distance of the gradients of the subsets from that of F, (R,)."""
        return lengths(forward.distances(gradient)) / math.sqrt(self.sizes.shape[1])

    def largest_heterogeneity(self, forward: Forward, gradient: Tensor) -> Tensor:
        """The largest of these distances, (R,)."""
        return forward.distances(gradient).amax(dim=-1)

    def relabelled(self, forward: Forward) -> Forward:
        """The result of ``forward`` if each example of class c had the opposite class, C - 1 - c."""
        return forward.relabelled()

    def coded_gradients(self, forward: Forward, code: Code) -> Tensor:
        """The honest messages, (R, N, D)."""
        return forward.coded(code)

    def test_accuracy(self, forward: Forward) -> Tensor:
        """The share of test examples whose class has the largest score, (R,); in a tie of n classes it counts 1/n."""
        return share_right(self.test_scores(forward.theta), self.test_targets)


def log_chances(scores: Tensor) -> Tensor:
    """The log probabilities of the classes, of scores (R, K, C)."""
    return by_run(partial(torch.log_softmax, dim=-1), scores)


def joint(parts: Sequence[Tensor]) -> Tensor:
    """Tensors side by side along the last axis."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=-1)
