"""Labelled examples: the data of every classification problem, their minibatches, and the test accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from byzcode.lazy import torch
from byzcode.problems.minibatches import draw, streams
from byzcode.problems.on_data import Divisions
from byzcode.problems.problem import Metric
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Labelled:
    """The examples of R classification problems of one shape, one per seed.

    ``features`` (R, K, d) and ``targets`` (R, K, C), 1 for the class of an example and 0 for the others; the examples
    of a subset are consecutive, and ``sizes`` (R, M), on the CPU, counts them. ``factors``, (R, K) or (R, 1), weight
    the gradients of the examples. ``test_features`` (R, T, d) and ``test_targets`` (R, T, C). The ``seeds`` (R,), on
    the CPU, determine the minibatches of ``minibatch`` examples of each subset.
    """

    features: Tensor
    targets: Tensor
    sizes: Tensor
    factors: Tensor
    seeds: Tensor
    minibatch: int | None
    test_features: Tensor
    test_targets: Tensor

    @cached_property
    def _streams(self) -> list[Stream]:
        return streams(self.seeds)

    def drawn(self, iteration: int) -> Self:
        """The problem on the minibatch of an iteration; the problem itself if it uses all examples."""
        if self.minibatch is None:
            return self
        batch = draw(self._streams, self.sizes, self.minibatch, iteration)
        factors = (batch.shares / self.minibatch).to(self.factors).repeat_interleave(self.minibatch, dim=1)
        return replace(
            self,
            features=batch.of(self.features),
            targets=batch.of(self.targets),
            sizes=batch.sizes,
            factors=factors,
            minibatch=None,
        )


def share_right(scores: Tensor, targets: Tensor) -> Tensor:
    """The share of examples whose class has the largest score, (R,), of scores and targets (R, T, C)."""
    chosen = (scores == scores.amax(dim=-1, keepdim=True)).to(scores.dtype)
    right: Tensor = (chosen * targets).sum(dim=-1) / chosen.sum(dim=-1)
    return right.mean(dim=-1)


def tensors_of(divided: Divisions, seeds: Sequence[int], classes: int) -> dict[str, Tensor]:
    """The fields of :class:`Labelled`, on the CPU and as precise as the data, whatever computes the run."""
    training, test, orders, sizes = divided
    rows = torch.eye(classes, dtype=torch.float64)
    return {
        "features": torch.stack([torch.tensor(training.features[order]) for order in orders]),
        "targets": torch.stack([rows[torch.tensor(training.labels[order])] for order in orders]),
        "sizes": torch.tensor(sizes),
        "factors": torch.full((len(seeds), 1), sizes.shape[1] / orders.shape[1], dtype=torch.float64),
        "seeds": torch.tensor(list(seeds)),
        "test_features": torch.tensor(test.features).repeat(len(orders), 1, 1),
        "test_targets": rows[torch.tensor(test.labels)].repeat(len(orders), 1, 1),
    }


def placed(tensors: Mapping[str, Tensor], device: str, dtype: str) -> dict[str, Tensor]:
    """The tensors where and as a run computes with them; counts stay on the CPU, and reading them waits for no GPU."""
    kind = getattr(torch, dtype)
    return {name: each.to(device, kind) if each.is_floating_point() else each for name, each in tensors.items()}


def _accuracy(problem: Any, forward: Any) -> Tensor:
    accuracy: Tensor = problem.test_accuracy(forward)
    return accuracy


#: The metrics of every classification problem.
METRICS = {
    "test_accuracy": Metric(
        _accuracy,
        words="test accuracy",
        symbol="",
        long_name="share of the test examples that are classified correctly",
        comment="of n classes with the same largest score, each counts 1/n",
        linear=True,
    ),
    "test_error": Metric(
        None,
        one_minus="test_accuracy",
        words="test error",
        symbol="",
        long_name="share of the test examples that are classified wrongly",
        comment="one minus the test accuracy; claims compare it, because less of it is better",
    ),
}
