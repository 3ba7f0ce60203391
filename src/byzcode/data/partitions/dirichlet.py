"""Classes shared out by a Dirichlet distribution (Hsu et al., 2019, 1909.06335; Yurochkin et al., 2019, 1905.12022)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from byzcode.data.partition import Partition, Parts, classes_of, equal_sizes

Concentration = Annotated[
    float, Field(ge=1e-3, le=1e6, description="Concentration: the smaller, the more the groups differ.")
]
Of = Annotated[
    Literal["groups", "classes"],
    Field(description="Whether each group draws its shares of classes, or each class its shares of groups."),
]


def dirichlet(
    labels: NDArray[Any], groups: int, generator: np.random.Generator, *, a: Concentration = 0.5, of: Of = "groups"
) -> Parts:
    """Groups whose shares of the classes are random, with a Dirichlet distribution of concentration ``a``.

    ``of: groups`` is the variant of Hsu et al. (1909.06335, section 3): a group draws its shares q of the classes from
    Dir(a p), with the shares p of the classes among all examples, and its examples follow q. Sizes differ by at most
    one. Once a class has run out, the groups that follow share the other classes, in proportion.

    ``of: classes`` is the variant of Yurochkin et al. (1905.12022) and of ``dirichlet_niid`` of byzfl 0.0.11: a class
    draws its shares of the groups from Dir(a, ..., a). Sizes differ much, and with a small ``a`` and many groups some
    are empty, which is refused. For the same mean variance of the shares, its ``a`` is about that of the other variant
    divided by the number of classes.

    Targets of a regression are first cut into ten classes of nearly equal size.
    """
    classes = classes_of(labels)
    stock = [generator.permutation(np.flatnonzero(classes == number)) for number in range(classes.max() + 1)]
    if of == "classes":
        return _of_classes(stock, groups, a, generator)
    sizes = equal_sizes(len(labels), groups)
    drawn = _classes_drawn(np.array([len(own) for own in stock]), sizes, a, generator)
    order = np.empty(len(labels), dtype=np.int64)
    for number, own in enumerate(stock):
        order[drawn == number] = own
    return Parts(order, sizes)


def _of_classes(stock: list[NDArray[np.int64]], groups: int, a: float, generator: np.random.Generator) -> Parts:
    pieces = []
    for own in stock:
        shares = generator.dirichlet(np.full(groups, a))
        cuts = (shares.cumsum()[:-1].clip(max=1) * len(own)).astype(np.int64)
        pieces.append(np.split(own, cuts))
    owned = [np.concatenate(each) for each in zip(*pieces, strict=True)]
    return Parts(np.concatenate(owned), np.array([len(own) for own in owned], dtype=np.int64))


def _classes_drawn(
    left: NDArray[np.int64], sizes: NDArray[np.int64], a: float, generator: np.random.Generator
) -> NDArray[np.int64]:
    """The class of each place, (K,), group by group; classes have ``left`` (C,) examples, and groups ``sizes`` (G,).

    The groups are filled one after another, so that a group with a small ``a`` has few classes even if some have run
    out. All places are drawn at once; those after the first place at which a class has run out are drawn again without
    it.
    """
    shares = generator.dirichlet(a * left / left.sum(), size=len(sizes))
    owner = np.repeat(np.arange(len(sizes)), sizes)
    drawn, left = np.empty(len(owner), dtype=np.int64), left.copy()
    first = 0
    while first < len(owner):
        chances = np.where(left > 0, shares.clip(min=1e-200), 0.0)  # a share may be too small for a number
        bounds = (chances / chances.sum(axis=1, keepdims=True)).cumsum(axis=1)
        bounds[:, np.flatnonzero(left)[-1] :] = 1.0
        classes = (generator.random(len(owner) - first)[:, None] >= bounds[owner[first:]]).sum(axis=1)
        end = _last_in_stock(classes, left)
        drawn[first : first + end] = classes[:end]
        left -= np.bincount(classes[:end], minlength=len(left))
        first += end
    return drawn


def _last_in_stock(classes: NDArray[np.int64], left: NDArray[np.int64]) -> int:
    """How many of the drawn classes can be served, in order, before the first that has run out."""
    runs_out = [
        places[count] for number, count in enumerate(left) if len(places := np.flatnonzero(classes == number)) > count
    ]
    return int(min(runs_out, default=len(classes)))


ENTRY = Partition(dirichlet, title="Dirichlet")
