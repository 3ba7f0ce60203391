"""The line search of attacks that test their messages on the server's rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.kernels.distances import lengths
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat

Evaluations = Annotated[int, Field(ge=1, description="How often the liars try the rule per iteration.")]

STEP, GROWTH, CONTRACTION = 10.0, 2.0, 0.8


def harm(messages: Tensor, threat: Threat) -> Callable[[Tensor], Tensor]:
    """The harm (R,) of received messages (R, N, D): how far the server's aggregate is from the mean honest message."""
    aim = threat.of_honest(messages).mean(dim=-2)

    def of(received: Tensor) -> Tensor:
        nonlocal aim
        answer = threat.aggregate(received)
        if answer.shape != aim.shape:  # messages of a complex code are longer than the decoded gradient
            aim = threat.aggregate(messages)
        return lengths(answer - aim)

    return of


def most_harmful(messages: Tensor, threat: Threat, origin: Tensor, direction: Tensor, evaluations: int) -> Tensor:
    """The received messages if all liars send ``origin + factor direction``, at the most harmful factor that was tried.

    Shapes: messages (R, N, D), origin and direction (R, 1, D); returns (R, N, D). Harm is the distance of the
    aggregate from the honest mean, computed as if Byzantine messages were not compressed. The scheme is that of byzfl
    0.0.11, with a separate factor per run: try 0, then best + step, with step = 10 at first. The step doubles while
    each try is better than the best; from the first failure on it shrinks by the factor 0.8 each time, better or not.
    So a factor below the best so far is never tried. If harm only grows (the mean), the factor ends at 10 (2^19 - 1)
    after 20 evaluations. The search is strong against rules that move further as the messages move further (median,
    trimmed mean). It is weak against rules that drop far messages (Phocas): there a small factor, perhaps below the
    first success, harms most. Cost: ``evaluations`` times that of the server.
    """

    def attacked(factor: Tensor) -> Tensor:
        return threat.replace(messages, origin + factor[:, None, None] * direction)

    harm_of = harm(messages, threat)
    best = messages.new_zeros(len(messages))
    most = harm_of(attacked(best))
    step = torch.full_like(best, STEP)
    growing = torch.ones_like(best, dtype=torch.bool)
    for _ in range(evaluations - 1):
        tried = best + step
        harmed = harm_of(attacked(tried))
        better = harmed > most  # false for NaN
        best, most = torch.where(better, tried, best), torch.where(better, harmed, most)
        growing = growing & better
        step = torch.where(growing, GROWTH * step, CONTRACTION * step)
    return attacked(best)
