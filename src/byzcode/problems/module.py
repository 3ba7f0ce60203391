"""Classification by the user's own torch module, named as ``package.module:factory``, on a data set.

``factory(features, classes)`` returns a :class:`torch.nn.Module` that maps examples (n, features) to scores
(n, classes); ``torch.nn:Linear`` is such a factory. Images are flattened rows, which ``torch.nn.Unflatten`` restores.
If the module has a method ``loss(scores, labels)``, it returns the losses (n,) of examples with labels (n,) from 0 to
classes - 1; otherwise the loss is the cross entropy. F averages over examples. theta has the parameters that need a
gradient, in the module's order; all else, such as buffers, is constant and must be the same for all seeds.

The gradients of the subsets are computed by ``torch.func.vmap`` of ``torch.func.grad``, some subsets at a time. If
those of a run have at most KEPT numbers, they are computed once per iteration; otherwise each use computes them again,
and never are more than a block of them in memory.

The factory is called once per seed, with torch's random numbers seeded by that seed, so the first parameters are the
same for all methods. A module is refused if the scores of an example depend on more than this example and the
parameters (:mod:`byzcode.problems.module_trial`): if it has state that changes (batch norm) or draws random numbers
(dropout). F is not assumed to be convex. Neither its optimum nor its smoothness is known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field

from byzcode.data import DATA_SETS
from byzcode.errors import KeyedError, complain
from byzcode.kernels.distances import lengths
from byzcode.kernels.gather import Code, coded_rows
from byzcode.kernels.product import product
from byzcode.lazy import torch
from byzcode.problems import users_module
from byzcode.problems.classification import METRICS, drawn_from, placed, share_right, tensors_of
from byzcode.problems.minibatches import streams
from byzcode.problems.module_trial import outline
from byzcode.problems.on_data import (
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
from byzcode.problems.problem import ProblemKind, Sizes
from byzcode.problems.users_module import Model
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

#: Numbers that a block of examples keeps for its gradients, and numbers in the gradients that are computed at a time.
BLOCK = 1 << 22
#: Numbers in the gradients of all subsets of a run up to which they are kept during an iteration.
KEPT = 1 << 27

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def _is_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("allowed: package.module:factory, the name of a function or class in a Python module")
    return value


Name = Annotated[
    str,
    Field(
        max_length=200,
        description=(
            "package.module:factory, where factory(features, classes) returns a torch.nn.Module that maps examples "
            "(n, features) to scores (n, classes), and may have a method loss(scores, labels)."
        ),
    ),
    AfterValidator(_is_name),
]


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
class ModuleProblem:
    """R problems of one shape, one per seed; see :func:`module`.

    The data are those of :class:`byzcode.problems.classification.Classification`. ``first`` (R, D) has the first
    parameters, ``kept`` the numbers that the gradient of an example needs.
    """

    features: Tensor
    targets: Tensor
    sizes: Tensor
    factors: Tensor
    seeds: Tensor
    minibatch: int | None
    test_features: Tensor
    test_targets: Tensor
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

    @cached_property
    def _streams(self) -> list[Stream]:
        return streams(self.seeds)

    def drawn(self, iteration: int) -> Self:
        """The problem on the minibatch of an iteration; the problem itself if it uses all examples."""
        return self if self.minibatch is None else drawn_from(self, self._streams, self.minibatch, iteration)

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


def module(
    seeds: Sequence[int],
    device: str,
    dtype: str,
    *,
    module: Name = "torch.nn:Linear",
    data: Data = "digits",
    subsets: Subsets = 100,
    partition: Divided = "iid",
    examples: Chosen = None,
    groups: Groups = None,
    minibatch: Minibatch = None,
    evaluate: Evaluated = "test",
) -> ModuleProblem:
    """Classification by a torch module of the user. The seed also determines the first parameters."""
    known = DATA_SETS[data]
    of_data = (module, known.features, known.classes)
    sizes = outline(*of_data)
    divided = divisions(
        seeds, data=data, subsets=subsets, partition=partition, examples=examples, groups=groups, evaluate=evaluate
    )
    drawn = tensors_of(divided, seeds, known.classes)
    drawn["first"] = users_module.first(*of_data, seeds)
    for place, seed in enumerate(seeds):
        own = {name: each[place : place + 1] for name, each in drawn.items()}
        model = users_module.model(*of_data, "cpu", dtype)
        _check_first(seed, ModuleProblem(model=model, kept=sizes.kept, minibatch=None, **placed(own, "cpu", dtype)))
    made = users_module.model(*of_data, device, dtype)
    return ModuleProblem(model=made, kept=sizes.kept, minibatch=minibatch, **placed(drawn, device, dtype))


def _check_first(seed: int, problem: ModuleProblem) -> None:
    """Raise UserError if the loss or its gradient at the first parameters is not finite."""
    forward = problem.forward(problem.start())
    for what, values in (("the loss", problem.loss(forward)), ("its gradient", problem.gradient(forward))):
        if not values.isfinite().all():
            reason = f"{what} at the first parameters is NaN or infinite"
            raise complain(f"seed {seed}", f"problem.{users_module.KEY}", problem.model.name, reason)


def _sizes(*, module: str, data: str, subsets: int, evaluate: str = "test", **division: Any) -> Sizes:
    known, (_, tests) = DATA_SETS[data], available(data, evaluate)
    samples = count_examples(data=data, subsets=subsets, evaluate=evaluate, **division)
    dimension, kept = outline(module, known.features, known.classes)
    gradients = subsets * dimension
    return Sizes(
        subsets=subsets,
        samples=samples,
        dimension=dimension,
        data=samples * known.features,
        memory=2 * (samples + tests) * (known.features + known.classes)
        + (2 * gradients if gradients <= KEPT else 0)
        + 3 * min(gradients, max(BLOCK, dimension))
        + 3 * min(max(samples, tests) * kept, max(BLOCK, kept))
        + 2 * dimension,
    )


ENTRY = ProblemKind(
    module,
    sizes=_sizes,
    title="module",
    tables=TABLES,
    modules=("module",),
    labels=LABELS,
    knows=frozenset(),
    metrics=METRICS,
)
