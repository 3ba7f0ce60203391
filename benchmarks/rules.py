"""One call of each rule and pre-aggregator on the messages of 100 devices, 20 of which lie: ours, plain torch, byzfl.

Ours in float64 and float32. byzfl is given numpy arrays, in which it keeps float64, and float32 tensors, as in its
training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import naive
import peers
import torch
from timing import Case, Contender, repeated
from torch import Tensor

from byzcode.aggregation import RULES
from byzcode.pre_aggregation import PRE_AGGREGATORS
from byzcode.randomness import Draws, Stream

DEVICES, LIARS = 100, 20

#: The number of parameters of a perceptron 784-128-10, as on MNIST.
PERCEPTRON = 101_776

#: Options with which ours computes what byzfl does.
LIKE_BYZFL: dict[str, dict[str, Any]] = {
    "krum": {"neighbours": "n-f-1"},
    "multi_krum": {"neighbours": "n-f-1"},
    "centered_clipping": {"start": "zero"},
}


@cache
def messages(dimension: int) -> Tensor:
    """Messages (N, D) about a common one; the first f of them flipped."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(dimension, dtype=torch.float64, generator=generator)
    told = common + torch.randn(DEVICES, dimension, dtype=torch.float64, generator=generator)
    told[:LIARS] *= -5.0
    return told


def cases(quick: bool, wanted: Callable[[str], bool]) -> Iterator[Case]:
    for dimension in (100, 10_000):
        for name in RULES:
            if wanted(f"rule: {name}, D = {dimension}"):
                yield _rule(name, dimension)
        for name in PRE_AGGREGATORS:
            if name != "none" and wanted(f"rule: {name}, D = {dimension}"):
                yield _in_front(name, dimension)
    for name in () if quick else naive.RULES:
        if wanted(f"rule: {name}, D = {PERCEPTRON}"):
            yield _rule(name, PERCEPTRON)


def _rule(name: str, dimension: int) -> Case:
    told = messages(dimension)
    options = LIKE_BYZFL.get(name, {})
    ours = partial(RULES[name], f=LIARS, **options)
    contenders = {"byzcode": _compared(partial(ours, told)), "byzcode, float32": _compared(partial(ours, told.float()))}
    size = float("nan")
    if name in naive.RULES:
        size = float(told.nbytes)
        contenders["plain"] = _compared(partial(naive.RULES[name], told, LIARS))
    return Case("rule", f"{name}, D = {dimension}", contenders | _byzfl(name, told), read=size, resident=size)


def _in_front(name: str, dimension: int) -> Case:
    told = messages(dimension)
    draws = Draws([Stream(0, "benchmark")], 0, like=told)
    run = partial(PRE_AGGREGATORS[name], told.unsqueeze(0), LIARS, draws)
    contenders = {"byzcode": repeated(run, answer=lambda: run()[0])}
    return Case("rule", f"{name}, D = {dimension}", contenders | _byzfl(name, told))


def _byzfl(name: str, told: Tensor) -> dict[str, Contender]:
    """byzfl's, if it has it."""
    library = peers.byzfl()
    if library is None or name not in peers.RULES:
        return {}

    def contender(given: Any) -> Contender:
        def run() -> Any:
            return peers.RULES[name](library, LIARS)(given)

        return repeated(run) if name == "bucketing" else _compared(run)  # it draws other buckets

    return {"byzfl": contender(told.numpy()), "byzfl, float32": contender(told.float())}


def _compared(run: Callable[[], Any]) -> Contender:
    return repeated(run, answer=run)
