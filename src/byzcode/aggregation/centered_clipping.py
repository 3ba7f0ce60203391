"""Centred clipping (Karimireddy et al., 2021, 2012.10333)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byzcode.aggregation.rule import Rule, minority
from byzcode.kernels.distances import clipped, norms
from byzcode.kernels.order import median

if TYPE_CHECKING:
    from torch import Tensor

Radius = Annotated[float, Field(gt=0, description="How far from the centre a message may pull.")]
Rounds = Annotated[int, Field(ge=1, description="How often the centre moves.")]
Start = Annotated[
    Literal["zero", "median"],
    Field(description="The first centre: zero, as in libraries, or the coordinate-wise median."),
]


def centered_clipping(
    messages: Tensor, f: int, *, radius: Radius = 10.0, rounds: Rounds = 1, start: Start = "median"
) -> Tensor:
    """``v <- v + (1/N) sum_i (m_i - v) min(1, radius / ||m_i - v||)``.

    Shapes: (..., N, D) to (..., D). Cost: N D per round, and a sort for the median. The paper starts at the aggregate
    of the previous iteration; a rule keeps nothing between calls, so the median replaces it. A message that is not
    finite does not pull. Each liar moves the result by at most radius / N per round. Tolerates f < N/2 liars, but the
    result is near the honest messages only if ``radius`` is of the size of their spread.
    """
    # From zero, the first round needs no subtraction of the centre.
    centre = median(messages) if start == "median" else _pull(messages, radius)
    for _ in range(rounds if start == "median" else rounds - 1):
        centre = centre + _pull(messages - centre.unsqueeze(-2), radius)
    return centre


def _pull(away: Tensor, radius: float) -> Tensor:
    return clipped(away, norms(away), radius).mean(dim=-2)


ENTRY = Rule(centered_clipping, minority, lacks=frozenset({"translation", "scale", "agreement"}))
