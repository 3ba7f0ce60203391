"""A share of the examples at random, and the others sorted by label (Karimireddy et al., 2020, 1910.06378)."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from byzcode.data.partition import Partition, Parts, equal_sizes

Gamma = Annotated[float, Field(ge=0, le=1, description="The share of the examples that is divided at random.")]


def similarity(labels: NDArray[Any], groups: int, generator: np.random.Generator, *, gamma: Gamma = 0.5) -> Parts:
    """Each group gets its part of a random share ``gamma`` of the examples, and of the others, sorted by label.

    This is "s% similarity" of SCAFFOLD (1910.06378, section 7) and ``gamma_similarity_niid`` of byzfl 0.0.11. With
    gamma = 1 it is ``iid``, with gamma = 0 ``by_label``, at the same seed to the example. Sizes differ by at most one.
    """
    order = generator.permutation(len(labels))
    at_random = round(gamma * len(labels))
    sizes, mixed = equal_sizes(len(labels), groups), equal_sizes(at_random, groups)
    rest = order[at_random:]
    rest = rest[labels[rest].argsort(kind="stable")]
    pieces = zip(
        np.split(order[:at_random], mixed.cumsum()[:-1]), np.split(rest, (sizes - mixed).cumsum()[:-1]), strict=True
    )
    return Parts(np.concatenate([each for pair in pieces for each in pair]), sizes)


ENTRY = Partition(similarity, title="partly sorted")
