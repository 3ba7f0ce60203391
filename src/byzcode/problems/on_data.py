"""What problems on data sets share: their options, and the examples of each seed, divided into subsets.

F averages over all examples, so with sizes s_k and K examples the gradient of subset k is (M / K) times the sum of the
gradients of its s_k examples: F = (1/M) sum_k f_k as everywhere, and codes stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from byzcode.data import DATA_SETS, PARTITIONS, Examples, PartitionOption, chosen, divide
from byzcode.errors import KeyedError, complain
from byzcode.kernels.product import batched, product
from byzcode.lazy import torch
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor

Count = Annotated[int, Field(ge=1, le=10**9)]

if TYPE_CHECKING:
    _Classified: TypeAlias = str
    _Real: TypeAlias = str
else:
    _Classified = Literal[tuple(name for name, known in DATA_SETS.items() if known.classes)]
    _Real = Literal[tuple(name for name, known in DATA_SETS.items() if not known.classes)]

#: A data set with classes, and one with real targets.
Data = Annotated[_Classified, Field(description="The data set, with classes.")]
Targets = Annotated[_Real, Field(description="The data set, with real targets.")]
Subsets = Annotated[Count, Field(description="M, the number of data subsets.")]
Divided = Annotated[
    PartitionOption,
    Field(description="How examples are divided: a partition, by its name or with its options."),
]
Chosen = Annotated[
    Count | None,
    Field(
        description="K: use so many training examples, a random choice that is the same for all seeds; all by default."
    ),
]
Groups = Annotated[
    Count | None,
    Field(
        description=(
            "Owners of data: the partition divides the examples among so many groups, and each group is cut at random "
            "into M / groups consecutive subsets. By default the partition makes the subsets."
        )
    ),
]

Minibatch = Annotated[
    Count | None,
    Field(
        description=(
            "b: the devices compute with b examples of each subset, drawn anew in each iteration, the same for all "
            "devices; with all by default."
        )
    ),
]
Evaluated = Annotated[
    Literal["test", "validation"],
    Field(
        description=(
            "The examples that the accuracy is measured on: the test examples, or a fixed fifth of the training "
            "examples, which are then left out of training, to choose a step size before the test examples are seen."
        )
    ),
]

#: The options of a problem on data that came after the first runs, the tables of its options, and their labels.
ADDED: frozenset[str] = frozenset({"examples", "groups", "minibatch", "evaluate"})
TABLES: Mapping[str, Any] = {"data": DATA_SETS, "partition": PARTITIONS}
LABELS: Mapping[str, tuple[str, str]] = {
    "partition": ("partition:", "how examples are divided"),
    "partition.a": ("$a$", "Dirichlet concentration $a$"),
    "partition.k": ("$k$", "shards per group, $k$"),
    "partition.gamma": (r"$\gamma$", r"share of examples divided at random, $\gamma$"),
    "examples": ("$K$", "number of examples $K$"),
    "groups": ("groups:", "number of groups"),
    "minibatch": ("$b$", "examples per subset and iteration, $b$"),
    "evaluate": ("evaluated on:", "evaluated on"),
}


class Divisions(NamedTuple):
    """Examples of R seeds: ``orders`` (R, K) are places in ``training``, subset by subset; ``sizes`` is (R, M)."""

    training: Examples
    test: Examples
    orders: NDArray[np.int64]
    sizes: NDArray[np.int64]


def divisions(
    seeds: Sequence[int],
    *,
    data: str,
    subsets: int,
    partition: str | Mapping[str, Any],
    examples: int | None = None,
    groups: int | None = None,
    evaluate: str = "test",
) -> Divisions:
    """Load a data set, and divide its training examples for each seed. Raises UserError if a subset would be empty."""
    count_examples(data=data, subsets=subsets, partition=partition, examples=examples, groups=groups, evaluate=evaluate)
    training, test = DATA_SETS[data].load()
    if evaluate == "validation":
        order = Stream(0, f"{data}/validation").at(0).permutation(len(training.labels))
        left, apart = np.split(order, [available(data, evaluate)[0]])
        training, test = (Examples(training.features[part], training.labels[part]) for part in (left, apart))
    if examples is not None:
        kept = Stream(0, f"{data}/examples").at(0).permutation(len(training.labels))[:examples]
        training = Examples(training.features[kept], training.labels[kept])
    name, options = chosen(partition)
    parts = []
    for seed in seeds:
        generator = Stream(seed, "partition").at(0)
        cut = partial(PARTITIONS[name], generator=generator, **options)
        try:
            parts.append(divide(training.labels, subsets, groups, cut, generator))
        except KeyedError as error:
            place = f"partition {name}, seed {seed}"
            raise complain(place, f"problem.{error.key}", error.value, error.allowed) from None
    return Divisions(training, test, np.stack([each.order for each in parts]), np.stack([each.sizes for each in parts]))


def available(data: str, evaluate: str) -> tuple[int, int]:
    """The number of examples of a set to train with, and of those to evaluate on."""
    known = DATA_SETS[data]
    apart = known.training // 5
    return (known.training, known.test) if evaluate == "test" else (known.training - apart, apart)


def count_examples(
    *,
    data: str,
    subsets: int,
    partition: str | Mapping[str, Any],
    examples: int | None = None,
    groups: int | None = None,
    minibatch: int | None = None,
    evaluate: str = "test",
    **_: Any,
) -> int:
    """K, the number of training examples. Loads nothing. Raises KeyedError if the options do not fit together."""
    known = available(data, evaluate)[0]
    count = known if examples is None else examples
    if count > known:
        raise KeyedError("examples", examples, f"allowed: 1 to {known} (the training examples of {data})")
    if subsets > count:
        raise KeyedError("subsets", subsets, f"allowed: 1 to {count} (the training examples of {data})")
    if groups is not None and subsets % groups:
        raise KeyedError("groups", groups, f"allowed: a divisor of {subsets} (the number of subsets, M)")
    if minibatch is not None and minibatch > (most := -(-count // subsets)):
        raise KeyedError("minibatch", minibatch, f"allowed: 1 to {most} (the examples of a subset, on average)")
    name, options = chosen(partition)
    refused = PARTITIONS[name].refuses(count, groups or subsets, **options)
    if refused is not None:
        raise KeyedError(f"partition.{refused[0]}", options.get(refused[0], "the default"), refused[1])
    return count


def subset_products(left: Tensor, right: Tensor, sizes: Tensor) -> Tensor:
    """For each subset the sum over its examples of left outer right, (R, M, I, J), of left (R, K, I), right (R, K, J).

    The examples of a subset are consecutive. ``sizes`` (R, M) is on the CPU wherever the others are, so that reading it
    never waits for a GPU. Same bits for a run alone and in a batch. Cost: K I J, in one call if all subsets have the
    same size, else in a call per subset.
    """
    if (sizes == sizes[0, 0]).all():
        return batched(_cut(left, sizes.shape[1]).mT, _cut(right, sizes.shape[1]))
    return torch.stack([_of_run(*each) for each in zip(left.unbind(), right.unbind(), sizes.tolist(), strict=True)])


def _cut(rows: Tensor, subsets: int) -> Tensor:
    return rows.view(len(rows), subsets, -1, rows.shape[-1])


def _of_run(left: Tensor, right: Tensor, counts: list[int]) -> Tensor:
    if len(set(counts)) == 1:  # with the bits of a batch of such runs
        return batched(_cut(left.unsqueeze(0), len(counts)).mT, _cut(right.unsqueeze(0), len(counts))).squeeze(0)
    return torch.stack(
        [product(a.mT, b) for a, b in zip(torch.split(left, counts), torch.split(right, counts), strict=True)]
    )
