"""Minibatches of the examples of each subset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byzcode.lazy import torch
from byzcode.randomness import Stream

if TYPE_CHECKING:
    from torch import Tensor


class Drawn(NamedTuple):
    """The drawn examples of R runs, subset by subset: their places (R, M b), and the sizes b of the subsets, (R, M).

    ``shares`` (R, M) are the shares of all examples that the subsets have, times M: 1 if their sizes are equal.
    """

    places: Tensor
    sizes: Tensor
    shares: Tensor

    def of(self, rows: Tensor) -> Tensor:
        """The rows (R, M b, ...) of the drawn examples among the rows of all, (R, K, ...)."""
        places = self.places.to(rows.device)
        return torch.stack([own[chosen] for own, chosen in zip(rows, places, strict=True)])


def streams(seeds: Tensor) -> list[Stream]:
    """The random numbers of minibatches, of each seed (R,)."""
    return [Stream(seed, "minibatch") for seed in seeds.tolist()]


def draw(streams: Sequence[Stream], sizes: Tensor, count: int, iteration: int) -> Drawn:
    """Draw ``count`` examples of each subset without replacement, given the sizes of the subsets, (R, M), on the CPU.

    They are the first in a random order, which starts again in a subset that has fewer, so that the expected number of
    times is the same for all examples of a subset. Within a subset they are in ascending order.
    """
    own = [_places(stream.at(iteration), each, count) for stream, each in zip(streams, sizes.numpy(), strict=True)]
    subsets = sizes.shape[1]
    shares = (sizes * subsets).double() / sizes.sum(dim=1, keepdim=True)
    return Drawn(torch.from_numpy(np.stack(own)), torch.full_like(sizes, count), shares)


def _places(generator: np.random.Generator, sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The places of the drawn examples, (M count,)."""
    keys = np.full((len(sizes), sizes.max()), np.inf)
    keys[np.arange(keys.shape[1]) < sizes[:, None]] = generator.random(sizes.sum())
    turns = np.arange(count) % sizes[:, None]
    within = np.take_along_axis(keys.argsort(axis=1), turns, axis=1)
    within.sort(axis=1)
    places: NDArray[np.int64] = (within + (sizes.cumsum() - sizes)[:, None]).ravel()
    return places
