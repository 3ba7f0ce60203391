"""A few shards of the sorted examples for each group (McMahan et al., 2017, 1602.05629)."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from byzcode.data.partition import Partition, Parts, by_label_order, equal_sizes

Shards = Annotated[int, Field(ge=1, le=10**6, description="The number of shards of each group.")]


def shards(labels: NDArray[Any], groups: int, generator: np.random.Generator, *, k: Shards = 2) -> Parts:
    """Sort the examples by label, cut them into k shards per group, and deal these out at random, k to each group.

    This is the "pathological non-IID partition" of McMahan et al. (1602.05629, section 3), with k = 2 there: with as
    many classes as on digits most groups have at most k classes. Sizes of shards differ by at most one.
    """
    order, sizes = by_label_order(labels, generator), equal_sizes(len(labels), k * groups)
    pieces, dealt = np.split(order, sizes.cumsum()[:-1]), generator.permutation(k * groups)
    return Parts(np.concatenate([pieces[shard] for shard in dealt]), sizes[dealt].reshape(groups, k).sum(axis=1))


def refuses(examples: int, groups: int, *, k: int = 2) -> tuple[str, str] | None:
    """Each shard needs an example."""
    return None if k * groups <= examples else ("k", f"allowed: 1 to {examples // groups} ({examples} examples)")


ENTRY = Partition(shards, refuses=refuses)
