"""Sample duplicating (one of three attacks of Dong et al. 2307.07980): "mimic" with a new victim per iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byzcode.attacks.attack import Attack
from byzcode.kernels.order import take_devices

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


Copied = Annotated[
    Literal["drawn", "first", "honest_mean"],
    Field(
        description=(
            "The message to copy: that of an honest device drawn in each iteration, that of the first honest device, "
            "or the mean of the honest messages."
        )
    ),
]


def sample_duplicating(messages: Tensor, threat: Threat, draws: Draws, *, copied: Copied = "drawn") -> Tensor:
    """All liars send a copy of the message of one honest device, drawn in each iteration or the first, or their mean.

    The code of Dong et al. copies the first honest device; the subsets of devices with low numbers then count too much
    in all iterations. Related code copies the mean of the honest messages, which leaves the plain mean as if liars
    were absent.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages. If Byzantine messages are compressed, the copy
    passes through the compressor of the liar as well.
    """
    if copied == "honest_mean":
        return threat.replace(messages, threat.of_honest(messages).mean(dim=-2, keepdim=True))
    if copied == "first":
        victim = threat.honest.min(dim=-1, keepdim=True).values
    else:
        place = (draws.uniform(1) * threat.honest.shape[-1]).long()  # (R, 1), a uniform place in the honest list
        victim = threat.honest.gather(-1, place)
    return threat.replace(messages, take_devices(messages, victim))


ENTRY = Attack(sample_duplicating, frozenset({"honest"}))
