"""The type of partitions, and how a partition and a cut into subsets divide the examples of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.errors import KeyedError
from byzcode.lazy import Entry

#: A partition cuts real labels, the targets of a regression, into this many classes of nearly equal size if it needs
#: classes.
BANDS = 10


class Parts(NamedTuple):
    """Examples in parts: their indices (K,), part by part, and the number of examples in each part."""

    order: NDArray[np.int64]
    sizes: NDArray[np.int64]


def never(examples: int, groups: int, **options: Any) -> None:
    """Refuse nothing: any number of examples and groups and all options are allowed."""


@dataclass(frozen=True)
class Partition(Entry):
    """``partition(labels, groups, generator, **options)`` divides examples with labels (K,) into groups.

    Every example is in one group. ``refuses(K, groups, **options)`` returns an option that does not fit these numbers,
    and what is allowed; else None. A partition whose sizes are random may still leave a group empty.
    """

    function: Callable[..., Parts]
    refuses: Callable[..., tuple[str, str] | None] = never

    def __call__(self, labels: NDArray[Any], groups: int, generator: np.random.Generator, **options: Any) -> Parts:
        """Divide examples into groups; see the class."""
        return self.function(labels, groups, generator, **options)


def equal_sizes(examples: int, parts: int) -> NDArray[np.int64]:
    """Sizes of parts that differ by at most one, the larger ones first, (parts,)."""
    return (examples + np.arange(parts - 1, -1, -1, dtype=np.int64)) // parts


def by_label_order(labels: NDArray[Any], generator: np.random.Generator) -> NDArray[np.int64]:
    """The examples sorted by label, in a random order within each label, (K,)."""
    order = generator.permutation(len(labels))
    return order[labels[order].argsort(kind="stable")]


def classes_of(labels: NDArray[Any]) -> NDArray[np.int64]:
    """The class of each example, (K,), numbered from 0 without gaps; of real labels the band that they are in."""
    if labels.dtype.kind == "f":
        bands = np.empty(len(labels), dtype=np.int64)
        bands[labels.argsort(kind="stable")] = np.arange(len(labels)) * BANDS // len(labels)
        labels = bands
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def divide(
    labels: NDArray[Any],
    subsets: int,
    groups: int | None,
    partition: Callable[[NDArray[Any], int], Parts],
    generator: np.random.Generator,
) -> Parts:
    """Divide examples with labels (K,) into M subsets: indices (K,), subset by subset, and sizes (M,).

    Without ``groups`` the partition makes the subsets. Otherwise it makes that many groups, the data of an owner each;
    each group is then shuffled and cut into M / groups consecutive subsets whose sizes differ by at most one. Raises
    KeyedError if a subset would be empty.
    """
    if groups is None:
        parts = partition(labels, subsets)
        _check("subset", parts.sizes, 1, subsets)
        return parts
    each = subsets // groups
    order, sizes = partition(labels, groups)
    _check("group", sizes, each, subsets)
    owned = np.split(order, sizes.cumsum()[:-1])
    return Parts(
        np.concatenate([generator.permutation(own) for own in owned]),
        np.concatenate([equal_sizes(len(own), each) for own in owned]),
    )


def _check(kind: str, sizes: NDArray[np.int64], least: int, subsets: int) -> None:
    """Raise KeyedError if a part has fewer examples than subsets."""
    few = int(sizes.argmin())
    if sizes[few] < least:
        need = f"{kind} {few} of {len(sizes)} has {sizes[few]} examples, and needs at least {least}"
        raise KeyedError("subsets", subsets, f"{need}; allowed: fewer subsets, or a partition with more equal sizes")
