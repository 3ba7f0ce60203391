"""Multinomial logistic regression on a data set: one linear score per class, with an optional ridge.

Each of M subsets holds s examples (z, c). With scores W z and probabilities p = softmax(W z), the loss of a subset is
f_k = (1/s) sum -log p_c + (ridge/2) ||W||^2, and F = (1/M) sum_k f_k. theta is W, (C, d), row by row. The gradient of
an example is (p - e_c) outer z, plus ridge W.

The optimum is not computed, so the excess loss is unknown. L is an upper bound: the Hessian of an example is at most
(1/2) I outer z z^T (Boehning, 1992), hence L <= ||Z||^2 / (2 K) + ridge for the features Z (K, d). mu is the ridge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from byzcode.data import DATA_SETS, PARTITIONS, DataName, PartitionName
from byzcode.errors import KeyedError
from byzcode.kernels.distances import lengths
from byzcode.kernels.gather import Code, coded_rows
from byzcode.kernels.product import batched, by_run, product
from byzcode.lazy import torch
from byzcode.problems.problem import ALONG_RUNS, Metric, ProblemKind, Sizes
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

Count = Annotated[int, Field(ge=1, le=10**9)]


@dataclass(frozen=True, eq=False)
class Forward:
    """theta (R, C, d), log probabilities (R, K, C) and targets (R, K, C); and the subsets' gradients, when needed."""

    problem: SoftmaxRegression
    theta: Tensor
    log_chances: Tensor
    targets: Tensor

    @cached_property
    def gradients(self) -> Tensor:
        """The gradients of all subsets, (R, M, D). They are computed once, however many devices hold a subset."""
        problem, (runs, samples, classes) = self.problem, self.targets.shape
        error = (by_run(torch.exp, self.log_chances) - self.targets) * (problem.subsets / samples)
        left = error.view(runs, problem.subsets, -1, classes).mT
        right = problem.features.view(runs, problem.subsets, -1, problem.features.shape[-1])
        ridge = problem.strong_convexity[:, None, None, None] * self.theta.unsqueeze(1)
        return (batched(left, right) + ridge).flatten(-2)


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """R problems of one shape, one per seed; see :func:`softmax_regression`.

    ``features`` (R, K, d) and ``targets`` (R, K, C), 1 for the class of an example and 0 for the others; the examples
    of a subset are consecutive. ``test_features`` (R, T, d) and ``test_targets`` (R, T, C).
    """

    features: Tensor
    targets: Tensor
    test_features: Tensor
    test_targets: Tensor
    subsets: int
    smoothness: Tensor
    strong_convexity: Tensor

    def start(self) -> Tensor:
        """theta^0 = 0, (R, D): all classes have the same probability."""
        runs, _, features = self.features.shape
        return self.features.new_zeros(runs, self.targets.shape[-1] * features)

    def forward(self, theta: Tensor) -> Forward:
        """The log probabilities of all examples, from which loss and gradients are computed."""
        theta = theta.view(len(theta), self.targets.shape[-1], -1)
        scores = product(self.features, theta.mT)
        return Forward(self, theta, by_run(partial(torch.log_softmax, dim=-1), scores), self.targets)

    def loss(self, forward: Forward) -> Tensor:
        """F, (R,)."""
        of_class = (forward.log_chances * forward.targets).sum(dim=-1)
        square = lengths(forward.theta.flatten(-2)).square()
        return self.strong_convexity * square / 2 - of_class.mean(dim=-1)

    def gradient(self, forward: Forward) -> Tensor:
        """The gradient of F, (R, D)."""
        mean: Tensor = forward.gradients.mean(dim=-2)
        return mean

    def heterogeneity(self, forward: Forward, gradient: Tensor) -> Tensor:
        """The root mean squared distance of the gradients of the subsets from that of F, (R,)."""
        return lengths(lengths(forward.gradients - gradient.unsqueeze(-2))) / math.sqrt(self.subsets)

    def largest_heterogeneity(self, forward: Forward, gradient: Tensor) -> Tensor:
        """The largest of these distances, (R,)."""
        return lengths(forward.gradients - gradient.unsqueeze(-2)).amax(dim=-1)

    def relabelled(self, forward: Forward) -> Forward:
        """The result of ``forward`` if each example of class c had the opposite class, C - 1 - c."""
        return Forward(self, forward.theta, forward.log_chances, forward.targets.flip(-1))

    def coded_gradients(self, forward: Forward, code: Code) -> Tensor:
        """The honest messages, (R, N, D)."""
        gradients = forward.gradients
        return coded_rows(gradients, torch.ones_like(gradients[..., 0]), code)

    def test_accuracy(self, forward: Forward) -> Tensor:
        """The share of test examples whose class has the largest score, (R,); in a tie of n classes it counts 1/n."""
        scores = product(self.test_features, forward.theta.mT)
        chosen = (scores == scores.amax(dim=-1, keepdim=True)).to(scores.dtype)
        right: Tensor = (chosen * self.test_targets).sum(dim=-1) / chosen.sum(dim=-1)
        return right.mean(dim=-1)


def softmax_regression(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    data: Annotated[DataName, Field(description="The data set.")] = "digits",
    subsets: Annotated[Count, Field(description="M, the number of data subsets, all of the same size.")] = 100,
    partition: Annotated[PartitionName, Field(description="How examples are divided into subsets.")] = "iid",
    ridge: Annotated[
        float, Field(ge=0, le=1e9, description="Strength of the L2 penalty, (ridge/2) ||theta||^2."), ALONG_RUNS
    ] = 0.0,
) -> SoftmaxRegression:
    """Multinomial logistic regression. The seed determines which examples each subset holds."""
    known = DATA_SETS[data]
    training, test = known.load()
    kind, classes = getattr(torch, dtype), torch.eye(known.classes, dtype=torch.float64)
    # Build it on the CPU in float64, so that the problem does not depend on the compute device.
    drawn = [PARTITIONS[partition](training.labels, subsets, Stream(seed, "partition").at(0)) for seed in seeds]
    features = [torch.tensor(training.features[places.ravel()]) for places in drawn]
    norms = [torch.linalg.matrix_norm(each, ord=2) for each in features]
    tensors = {
        "features": torch.stack(features),
        "targets": torch.stack([classes[torch.tensor(training.labels[places.ravel()])] for places in drawn]),
        "test_features": torch.tensor(test.features).repeat(len(seeds), 1, 1),
        "test_targets": classes[torch.tensor(test.labels)].repeat(len(seeds), 1, 1),
        "smoothness": torch.stack(norms).square() / (2 * len(features[0])) + ridge,
        "strong_convexity": torch.full((len(seeds),), ridge, dtype=torch.float64),
    }
    return SoftmaxRegression(subsets=subsets, **{name: each.to(device, kind) for name, each in tensors.items()})


def _sizes(*, data: str, subsets: int, **_: Any) -> Sizes:
    known = DATA_SETS[data]
    if not known.classes:
        classes = ", ".join(name for name, each in DATA_SETS.items() if each.classes)
        raise KeyedError("data", data, f"a data set for regression; allowed: {classes}")
    if subsets > known.training:
        raise KeyedError("subsets", subsets, f"allowed: 1 to {known.training} (the training examples of {data})")
    samples, dimension = known.training // subsets * subsets, known.classes * known.features
    examples = samples * (known.features + known.classes) + known.test * (known.features + known.classes)
    return Sizes(
        subsets=subsets,
        samples=samples,
        dimension=dimension,
        data=samples * known.features,
        memory=2 * examples + 4 * samples * known.classes + 4 * subsets * dimension,
    )


ENTRY = ProblemKind(
    softmax_regression,
    sizes=_sizes,
    tables={"data": DATA_SETS, "partition": PARTITIONS},
    labels={"partition": ("partition:", "how examples are divided")},
    knows=frozenset({"smoothness", "strong_convexity"}),
    metrics={
        "test_accuracy": Metric(
            SoftmaxRegression.test_accuracy,
            words="test accuracy",
            symbol="",
            long_name="share of the test examples that are classified correctly",
            comment="of n classes with the same largest score, each counts 1/n",
            linear=True,
        )
    },
)
