"""The line search of attacks that try their lies on the rule in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.kernels.distances import lengths
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat

Evaluations = Annotated[int, Field(ge=1, description="How often the liars try the rule in an iteration.")]

STEP, GROWTH, CONTRACTION = 10.0, 2.0, 0.8


def most_harmful(messages: Tensor, threat: Threat, origin: Tensor, direction: Tensor, evaluations: int) -> Tensor:
    """What the server receives if all liars send ``origin + factor direction``, at the most harmful factor tried.

    Shapes: messages (R, N, D), origin and direction (R, 1, D); returns (R, N, D). Harm is the distance of the
    aggregate from the honest mean, were the lies not compressed. The scheme is that of byzfl 0.0.11, each run with a
    factor of its own: try 0, then best + step, with step = 10 at first. While that is better the step doubles; from the
    first failure on it shrinks to 0.8 of itself each time, better or not. So a factor below the best so far is never
    tried again, and where harm only grows (the mean) the factor ends at 10 (2^19 - 1) after 20 evaluations. Strong
    against rules that move further the further the lies are (median, trimmed mean); weak against those that drop far
    messages (Phocas), where a small factor harms most and may lie below the first success. Cost: ``evaluations`` times
    that of the server.
    """

    def attacked(factor: Tensor) -> Tensor:
        return threat.replace(messages, origin + factor[:, None, None] * direction)

    best = messages.new_zeros(len(messages))
    answer, aim = threat.aggregate(attacked(best)), threat.of_honest(messages).mean(dim=-2)
    if answer.shape != aim.shape:  # messages of a complex code are wider than what is decoded from them
        aim = threat.aggregate(messages)
    most = lengths(answer - aim)
    step = torch.full_like(best, STEP)
    growing = torch.ones_like(best, dtype=torch.bool)
    for _ in range(evaluations - 1):
        tried = best + step
        found = lengths(threat.aggregate(attacked(tried)) - aim)
        better = found > most  # false for NaN
        best, most = torch.where(better, tried, best), torch.where(better, found, most)
        growing = growing & better
        step = torch.where(growing, GROWTH * step, CONTRACTION * step)
    return attacked(best)
