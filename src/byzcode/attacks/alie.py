"""A little is enough, ALIE (Baruch et al., 2019, 1902.06156)."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.attacks.attack import Attack
from byzcode.kernels.distances import power_of_two

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Factor = Annotated[
    float | None,
    Field(description="Standard deviations from the mean down to a lie; the paper's z of N and f if left out."),
]


def alie(messages: Tensor, threat: Threat, draws: Draws, *, factor: Factor = None) -> Tensor:
    """All liars send ``mean - factor std`` of the honest messages, per coordinate.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages. Cost: N D. ``std`` divides by N - f - 1 (0 for
    a single honest message). The default factor is z = Phi^-1((N - f - s) / (N - f)), s = floor(N / 2) + 1 - f: the s
    honest messages that the liars need for a majority are then, in expectation, even farther from the mean than the
    lie. The factor is negative while N - f < 2 s: if the liars are few, the lie is on the other side of the mean.
    """
    mean, std = mean_and_std(threat.of_honest(messages))
    away = paper_factor(threat.answering, threat.f) if factor is None else factor
    return threat.replace(messages, mean - away * std)


def mean_and_std(honest: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of (R, H, D) over H, each (R, 1, D); the deviation of a single message is 0."""
    mean = honest.mean(dim=-2, keepdim=True)
    away = honest - mean
    unit = power_of_two(away.abs().amax(dim=-2, keepdim=True))  # else squares may overflow or vanish
    squares = (away / unit).square().sum(dim=-2, keepdim=True)
    return mean, unit * (squares / max(honest.shape[-2] - 1, 1)).sqrt()


def paper_factor(devices: int, f: int) -> float:
    """The paper's z; about 6 standard deviations replace infinity if the liars need no supporters, or find none."""
    supporters = devices // 2 + 1 - f
    share = (devices - f - supporters) / (devices - f)
    return NormalDist().inv_cdf(min(max(share, 1e-9), 1 - 1e-9))


ENTRY = Attack(alie, frozenset({"honest"}), title="ALIE")
