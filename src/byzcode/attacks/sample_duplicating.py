"""Sample duplicating (the trio of attacks of Dong et al. 2307.07980): "mimic" with a victim drawn anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.kernels.order import take_devices

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


def sample_duplicating(messages: Tensor, threat: Threat, draws: Draws) -> Tensor:
    """All liars send a copy of the message of one honest device, drawn uniformly in each iteration.

    Shapes: (R, N, D) to (R, N, D). The liars know the messages of the honest devices. Where lies are
    compressed, the copy goes through the compressor of the liar as well.
    """
    place = (draws.uniform(1) * threat.honest.shape[-1]).long()  # (R, 1), a uniform place in the honest list
    return threat.replace(messages, take_devices(messages, threat.honest.gather(-1, place)))
