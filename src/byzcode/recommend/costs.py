"""What a configuration costs besides gradients and bits: what devices store, and how long an iteration takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from byzcode.recommend.choices import Advice
from byzcode.recommend.measured import run_of
from byzcode.recommend.need import Need
from byzcode.recommend.words import number
from byzcode.theory.waiting import last_of


class Costs(NamedTuple):
    """The number of subsets that a device stores, and the expected time of an iteration.

    The unit of time is the least time of a gradient; delays are those of :mod:`byzcode.theory.waiting`, liars answer at
    once. All devices compute equally many gradients in the configurations that are tried.
    """

    stored: int
    time: float


def costs_of(need: Need, advice: Advice) -> Costs:
    """The costs of a configuration. Whoever computes other subsets in each iteration stores all."""
    spec = run_of(need, advice.curve)
    stored = spec.redundancy if spec.assignment == "fixed" else spec.subsets
    return Costs(stored, last_of(np.full(spec.devices, spec.redundancy), spec.honest))


def words(need: Need, advice: Advice) -> str:
    """The costs in a sentence."""
    stored, time = costs_of(need, advice)
    return (
        f"A device computes with {advice.redundancy} of {need.subsets} subsets in an iteration and stores {stored}. An "
        f"iteration takes {number(time)} times the least time of a gradient, if delays are shifted exponential."
    )
