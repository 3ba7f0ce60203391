"""Multinomial logistic regression on a data set: one linear score per class, with an optional ridge.

Each of K examples (z, c) is in one of M subsets. With scores W z and probabilities p = softmax(W z), the loss of a
subset is f_k = (M/K) sum -log p_c + (ridge/2) ||W||^2, the sum over its examples, and F = (1/M) sum_k f_k averages over
all examples. theta is W, (C, d), row by row. The gradient of an example is (p - e_c) outer z, plus ridge W.

The optimum is not computed, so the excess loss is unknown. L is an upper bound: the Hessian of an example is at most
(1/2) I outer z z^T (Boehning, 1992), hence L <= ||Z||^2 / (2 K) + ridge for the features Z (K, d). mu is the ridge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from byzcode.data import DATA_SETS, Examples
from byzcode.kernels.distances import lengths
from byzcode.kernels.outer import Layer
from byzcode.kernels.product import outputs_of
from byzcode.lazy import torch
from byzcode.problems import classification
from byzcode.problems.classification import Classification, log_chances
from byzcode.problems.labelled import METRICS, placed, tensors_of
from byzcode.problems.on_data import (
    ADDED,
    LABELS,
    TABLES,
    Chosen,
    Data,
    Divided,
    Evaluated,
    Groups,
    Minibatch,
    Subsets,
    available,
    count_examples,
    divisions,
)
from byzcode.problems.problem import ALONG_RUNS, ProblemKind, Sizes

if TYPE_CHECKING:
    from torch import Tensor

#: Numbers in the features up to which their singular values are computed; examples that a Gram matrix adds at a time.
SMALL, ROWS = 1 << 20, 1 << 12


@dataclass(frozen=True, eq=False)
class Forward(classification.Forward):
    """The log probabilities, with the features (R, K, d) and the ridge (R,) that the gradients need."""

    features: Tensor
    ridge: Tensor

    def pieces(self) -> Iterator[Layer]:
        """The only layer."""
        yield Layer(self.error, self.features, self.sizes)

    @cached_property
    def common(self) -> Tensor:
        """The gradient of the ridge, (R, D)."""
        return self.ridge.unsqueeze(-1) * self.theta


@dataclass(frozen=True, eq=False)
class SoftmaxRegression(Classification):
    """R problems of one shape, one per seed; see :func:`softmax_regression`."""

    smoothness: Tensor
    strong_convexity: Tensor

    def start(self) -> Tensor:
        """theta^0 = 0, (R, D): all classes have the same probability."""
        runs, _, features = self.features.shape
        return self.features.new_zeros(runs, self.targets.shape[-1] * features)

    def forward(self, theta: Tensor) -> Forward:
        """The log probabilities of all examples, from which loss and gradients are computed."""
        chances = log_chances(self._scores(self.features, theta))
        return Forward(self.sizes, self.factors, theta, chances, self.targets, self.features, self.strong_convexity)

    def loss(self, forward: classification.Forward) -> Tensor:
        """F, (R,)."""
        return self.strong_convexity * lengths(forward.theta).square() / 2 + super().loss(forward)

    def test_scores(self, theta: Tensor) -> Tensor:
        """The scores of the test examples, (R, T, C)."""
        return self._scores(self.test_features, theta)

    def _scores(self, features: Tensor, theta: Tensor) -> Tensor:
        return outputs_of(features, theta.view(len(theta), self.targets.shape[-1], -1))


def softmax_regression(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    data: Data = "digits",
    subsets: Subsets = 100,
    partition: Divided = "iid",
    examples: Chosen = None,
    groups: Groups = None,
    minibatch: Minibatch = None,
    evaluate: Evaluated = "test",
    ridge: Annotated[
        float, Field(ge=0, le=1e9, description="Strength of the L2 penalty, (ridge/2) ||theta||^2."), ALONG_RUNS
    ] = 0.0,
) -> SoftmaxRegression:
    """Multinomial logistic regression. The seed determines which examples each subset holds."""
    divided = divisions(
        seeds, data=data, subsets=subsets, partition=partition, examples=examples, groups=groups, evaluate=evaluate
    )
    # Build it on the CPU in float64, so that the problem does not depend on the compute device.
    drawn = tensors_of(divided, seeds, DATA_SETS[data].classes)
    drawn["smoothness"] = _squared_norms(divided.training, drawn["features"]) / (2 * drawn["features"].shape[1]) + ridge
    drawn["strong_convexity"] = torch.full((len(seeds),), ridge, dtype=torch.float64)
    return SoftmaxRegression(minibatch=minibatch, **placed(drawn, device, dtype))


def _squared_norms(training: Examples, features: Tensor) -> Tensor:
    """||Z||^2 of each run, (R,), in float64, of features (R, K, d) that are those of ``training`` in another order.

    A small matrix is decomposed in the order of its run. A large one is decomposed once for all runs, by its Gram
    matrix (d, d).
    """
    if training.features.size <= SMALL:
        return torch.stack([torch.linalg.matrix_norm(each.double(), ord=2) for each in features]).square()
    samples, width = training.features.shape
    gram = torch.zeros(width, width, dtype=torch.float64)
    for first in range(0, samples, ROWS):
        rows = torch.tensor(training.features[first : first + ROWS], dtype=torch.float64)
        gram += rows.mT @ rows
    largest: Tensor = torch.linalg.eigvalsh(gram)[-1]
    return largest.repeat(len(features))


def _sizes(*, data: str, subsets: int, evaluate: str = "test", **division: Any) -> Sizes:
    known, (_, tests) = DATA_SETS[data], available(data, evaluate)
    samples = count_examples(data=data, subsets=subsets, evaluate=evaluate, **division)
    dimension = known.classes * known.features
    numbers = (samples + tests) * (known.features + known.classes)
    return Sizes(
        subsets=subsets,
        samples=samples,
        dimension=dimension,
        data=samples * known.features,
        memory=2 * numbers + 4 * samples * known.classes + 4 * subsets * dimension,
    )


ENTRY = ProblemKind(
    softmax_regression,
    sizes=_sizes,
    tables=TABLES,
    labels=LABELS,
    added=ADDED,
    knows=frozenset({"smoothness", "strong_convexity"}),
    metrics=METRICS,
)
