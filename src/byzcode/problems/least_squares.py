"""Linear regression on a data set, with an intercept.

Features and targets are standardised by mean and standard deviation of the training examples, the same for all seeds; a
constant feature becomes 0. With features z, the last of which is 1, the loss of a subset is
f_k = (M / 2K) sum (<z, theta> - y)^2 over its examples, and F = (1/M) sum_k f_k averages over all K examples. The
optimum is exact, and so are L and mu, the extreme eigenvalues of the Hessian Z^T Z / K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from byzcode.data import DATA_SETS
from byzcode.data.data_set import Examples
from byzcode.kernels.gather import Code, coded_rows
from byzcode.lazy import torch
from byzcode.problems.linear_regression import LinearRegression, _solved
from byzcode.problems.minibatches import draw, streams
from byzcode.problems.on_data import (
    LABELS,
    TABLES,
    Chosen,
    Divided,
    Groups,
    Minibatch,
    Subsets,
    Targets,
    count_examples,
    divisions,
    subset_products,
)
from byzcode.problems.problem import ProblemKind, Sizes
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class LeastSquares(LinearRegression):
    """Linear regression whose subsets may have unequal sizes (R, M), on the CPU; see :func:`least_squares`.

    ``seeds`` (R,), on the CPU, determine the minibatches of ``minibatch`` examples of each subset.
    """

    sizes: Tensor
    seeds: Tensor
    minibatch: int | None

    @cached_property
    def _streams(self) -> list[Stream]:
        return streams(self.seeds)

    def drawn(self, iteration: int) -> Self:
        """The problem on the minibatch of an iteration; the problem itself if it uses all examples.

        An example counts as often as the share of its subset says: its features and target are multiplied by the root.
        """
        if self.minibatch is None:
            return self
        batch = draw(self._streams, self.sizes, self.minibatch, iteration)
        roots = batch.shares.sqrt().to(self.features).repeat_interleave(self.minibatch, dim=1)
        return replace(
            self,
            features=batch.of(self.features) * roots.unsqueeze(-1),
            labels=batch.of(self.labels) * roots,
            sizes=batch.sizes,
            minibatch=None,
        )

    def _gradients(self, residual: Tensor) -> Tensor:
        """The gradients of all subsets, (R, M, D), in the features' unit, for given residuals."""
        factor = residual * (self.subsets / residual.shape[-1])
        features = self.features / self._unit[:, None, None]
        return subset_products(factor.unsqueeze(-1), features, self.sizes).squeeze(-2)

    def coded_gradients(self, residual: Tensor, code: Code) -> Tensor:
        """The honest messages, (R, N, D)."""
        gradients = self._gradients(residual) * self._unit[:, None, None]
        return coded_rows(gradients, torch.ones_like(gradients[..., 0]), code)


def least_squares(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    data: Targets = "diabetes",
    subsets: Subsets = 100,
    partition: Divided = "iid",
    examples: Chosen = None,
    groups: Groups = None,
    minibatch: Minibatch = None,
) -> LeastSquares:
    """Linear regression on a data set. The seed determines which examples each subset holds."""
    training, _, orders, sizes = divisions(
        seeds, data=data, subsets=subsets, partition=partition, examples=examples, groups=groups
    )
    kind, features, targets = getattr(torch, dtype), *_standardised(training)
    # Build and solve it on the CPU in float64, so that the problem does not depend on the compute device.
    solved = [_solved(torch.tensor(features[order]), torch.tensor(targets[order])) for order in orders]
    tensors = [torch.stack(parts).to(device=device, dtype=kind) for parts in zip(*solved, strict=True)]
    drawn, labels, optimum, smoothness, strong_convexity = tensors
    counts, numbers = torch.tensor(sizes), torch.tensor(list(seeds))
    return LeastSquares(drawn, labels, subsets, optimum, smoothness, strong_convexity, counts, numbers, minibatch)


def _standardised(training: Examples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features (K, D) with a last column of ones, and targets (K,)."""
    features = _unit_spread(training.features.astype(np.float64))
    return np.hstack([features, np.ones((len(features), 1))]), _unit_spread(training.labels.astype(np.float64))


def _unit_spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (K, ...) with mean 0 and standard deviation 1 over the examples; 0 where all are equal."""
    spread: NDArray[np.float64] = np.where(np.ptp(values, axis=0) > 0, values.std(axis=0), np.inf)
    centred: NDArray[np.float64] = values - values.mean(axis=0)
    return centred / spread


def _sizes(*, data: str, subsets: int, **options: Any) -> Sizes:
    samples = count_examples(data=data, subsets=subsets, **options)
    dimension = DATA_SETS[data].features + 1
    return Sizes(
        subsets=subsets,
        samples=samples,
        dimension=dimension,
        data=samples * dimension,
        memory=3 * samples * (dimension + 3) + 3 * subsets * (dimension + 1),
    )


ENTRY = ProblemKind(least_squares, sizes=_sizes, tables=TABLES, labels=LABELS)
