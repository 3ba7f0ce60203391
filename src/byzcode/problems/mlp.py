"""Classification by fully connected layers on a data set.

Hidden layers apply max(0, .); the loss is the cross entropy of the softmax of the last layer (see
:mod:`byzcode.problems.classification`). theta has the layers in order, each a matrix (outputs, inputs + 1), row by row,
whose last column has the biases. The first weights of a seed are normal with variance 2 / inputs, and the first biases
0 (He et al., 2015, "Delving deep into rectifiers", equation 10). They are the same for all methods.

F is not convex. Neither its optimum nor its smoothness is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from byzcode.data import DATA_SETS
from byzcode.kernels.outer import Layer
from byzcode.problems import classification, layers
from byzcode.problems.classification import Classification, log_chances
from byzcode.problems.labelled import METRICS, placed, tensors_of
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

if TYPE_CHECKING:
    from torch import Tensor

Width = Annotated[int, Field(ge=1, le=10**6)]


@dataclass(frozen=True, eq=False)
class Forward(classification.Forward):
    """The log probabilities, the matrices of the layers, and the inputs of each layer, (R, K, i + 1)."""

    weights: list[Tensor]
    inputs: list[Tensor]

    @cached_property
    def errors(self) -> list[Tensor]:
        """The derivatives with respect to each layer's outputs, (R, K, o)."""
        return layers.errors_of(self.weights, self.inputs, self.error)

    def pieces(self) -> Iterator[Layer]:
        """The layers."""
        for error, inputs in zip(self.errors, self.inputs, strict=True):
            yield Layer(error, inputs, self.sizes)


@dataclass(frozen=True, eq=False)
class MLP(Classification):
    """R problems of one shape, one per seed; see :func:`mlp`. The last feature of each example is 1.

    ``first`` (R, D) has the first parameters, ``shapes`` the inputs and outputs of the layers.
    """

    first: Tensor
    shapes: tuple[layers.Shape, ...]

    def start(self) -> Tensor:
        """theta^0, (R, D): random."""
        return self.first

    def forward(self, theta: Tensor) -> Forward:
        """The log probabilities of all examples and the inputs of all layers."""
        weights = layers.split(theta, self.shapes)
        *inputs, scores = layers.inputs_of(weights, self.features)
        return Forward(self.sizes, self.factors, theta, log_chances(scores), self.targets, weights, inputs)

    def test_scores(self, theta: Tensor) -> Tensor:
        """The scores of the test examples, (R, T, C)."""
        return layers.inputs_of(layers.split(theta, self.shapes), self.test_features)[-1]


def mlp(
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
    hidden: Annotated[tuple[Width, ...], Field(description="Outputs of each hidden layer.", max_length=16)] = (64,),
) -> MLP:
    """Classification by fully connected layers. The seed also determines the first parameters."""
    known = DATA_SETS[data]
    shapes = layers.shapes(known.features, hidden, known.classes)
    divided = divisions(
        seeds, data=data, subsets=subsets, partition=partition, examples=examples, groups=groups, evaluate=evaluate
    )
    drawn = tensors_of(divided, seeds, DATA_SETS[data].classes)
    for name in ("features", "test_features"):
        drawn[name] = layers.with_ones(drawn[name])
    drawn["first"] = layers.first(seeds, "mlp/start", shapes)
    return MLP(shapes=tuple(shapes), minibatch=minibatch, **placed(drawn, device, dtype))


def _sizes(*, data: str, subsets: int, evaluate: str = "test", hidden: Sequence[int], **division: Any) -> Sizes:
    known, (_, tests) = DATA_SETS[data], available(data, evaluate)
    samples = count_examples(data=data, subsets=subsets, evaluate=evaluate, **division)
    shapes = layers.shapes(known.features, hidden, known.classes)
    dimension = layers.size(shapes)
    numbers = (samples + tests) * (known.features + 1 + known.classes)
    return Sizes(
        subsets=subsets,
        samples=samples,
        dimension=dimension,
        data=samples * (known.features + 1),
        memory=2 * numbers
        + 3 * samples * (sum(outputs + 1 for _, outputs in shapes) + known.classes)
        + 4 * min(subsets * dimension, max(classification.BLOCK, subsets * (max(shapes)[0] + 1)))
        + 2 * dimension,
    )


ENTRY = ProblemKind(
    mlp,
    sizes=_sizes,
    title="MLP",
    tables=TABLES,
    labels=LABELS,
    knows=frozenset(),
    metrics=METRICS,
)
