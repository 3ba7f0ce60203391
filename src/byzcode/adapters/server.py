"""The server of a federated training: a rule, and what comes before it, on replies that consist of several arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byzcode.aggregation import RULES
from byzcode.errors import UserError
from byzcode.front import named
from byzcode.front.aggregate import aggregate, pre_aggregate
from byzcode.pre_aggregation import PRE_AGGREGATORS

#: A model, as a list of arrays.
Arrays = Sequence[NDArray[Any]]


class Server:
    """Combines the models of N clients, up to f of which may lie.

    ``rule`` and ``pre_aggregation`` are given as in a run: a name, or a mapping of a name and options. The rule sees
    all floating-point arrays of a client as one message. Every client counts the same, whatever number of examples it
    states, because a liar may state any. Of other arrays, such as counters, the lower median is taken entry by entry.

    A rule that depends on the origin (centred clipping, trimming by norm, or any rule after clipping) is applied to the
    updates, that is, the models minus the one that was sent; all others to the models, which gives the same.
    """

    def __init__(self, rule: str | Mapping[str, Any], f: int, pre_aggregation: str | Mapping[str, Any], seed: int):
        self._where = "strategy"
        self._rule, self._options = named.with_options("aggregation", rule, self._where, "rule")
        self._before, self._before_options = named.with_options(
            "pre_aggregation", pre_aggregation, self._where, "pre_aggregation"
        )
        self._f, self._seed = named.whole(f, self._where, "f", 0), named.whole(seed, self._where, "seed", 0, 2**32 - 1)
        lacking = RULES[self._rule].lacks | PRE_AGGREGATORS[self._before].lacks
        self._of_updates = "translation" in lacking

    def combined(self, models: Sequence[Arrays], sent: Arrays | None, iteration: int) -> list[NDArray[Any]]:
        """The new model, from those of the clients and the one that was sent to them. Raises UserError."""
        real = [place for place, array in enumerate(models[0]) if array.dtype.kind == "f"]
        messages: list[Any] = [[model[place] for place in real] for model in models]
        origin = self._origin(sent, real)
        if origin is not None:
            messages = [[own - first for own, first in zip(each, origin, strict=True)] for each in messages]
        if self._before != "none":
            messages = pre_aggregate(
                self._before, messages, self._f, seed=self._seed, iteration=iteration, **self._before_options
            )
        answer = aggregate(self._rule, messages, self._f, **self._options)
        if origin is not None:
            answer = [first + moved for first, moved in zip(origin, answer, strict=True)]
        made = dict(zip(real, answer, strict=True))
        return [
            made[place] if place in made else _lower_median([model[place] for model in models])
            for place in range(len(models[0]))
        ]

    def _origin(self, sent: Arrays | None, real: Sequence[int]) -> list[NDArray[Any]] | None:
        """The arrays that updates are relative to; None if the rule is applied to models."""
        if not self._of_updates:
            return None
        if sent is None:
            words = self._rule if "translation" in RULES[self._rule].lacks else self._before
            raise UserError(f"{self._where}: {words} needs the model that was sent to the clients, but none was sent")
        return [sent[place] for place in real]


def _lower_median(arrays: Arrays) -> NDArray[Any]:
    ordered: NDArray[Any] = np.sort(np.stack(arrays), axis=0)[(len(arrays) - 1) // 2]
    return ordered
