"""Mimic (Karimireddy et al., 2022, "bucketing", 2006.09365)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.attacks.attack import Attack
from byzcode.attacks.principal import leverage
from byzcode.errors import UserError
from byzcode.kernels.order import take_devices

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws

Victim = Annotated[
    int | None,
    Field(ge=0, description="The device to copy; if left out, the honest device that stands out in each iteration."),
]


def mimic(messages: Tensor, threat: Threat, draws: Draws, *, victim: Victim = None) -> Tensor:
    """All liars send a copy of one device's message, so that its data count too much.

    Shapes: (R, N, D) to (R, N, D). With a ``victim``, the liars know only its message (its honest message if it is a
    liar itself). Without one, they know the honest messages, and copy the one farthest from the honest mean along the
    direction of largest variance. The paper learns that direction and its victim in a warm-up and then keeps both; here
    each iteration determines them anew, which needs no memory and also works if the liars are redrawn. Cost without a
    victim: N^2 D + 8 N^3.
    """
    if victim is None:
        place = _farthest(threat.of_honest(messages)).unsqueeze(-1)
        return threat.replace(messages, take_devices(messages, threat.honest.gather(-1, place)))
    if (refused := refuses(messages.shape[-2], victim=victim)) is not None:
        raise UserError(f"attack.victim = {victim}: {refused[1]}")
    return threat.replace(messages, messages[:, victim : victim + 1])


def _farthest(honest: Tensor) -> Tensor:
    """The place, (R,), of the message in (R, H, D) farthest from the mean along the first principal direction.

    The place is that of the largest |u_i|, where u is the first eigenvector of the Gram matrix of the centred messages.
    """
    return leverage(honest - honest.mean(dim=-2, keepdim=True)).diagonal(dim1=-2, dim2=-1).argmax(dim=-1)


def refuses(devices: int, *, victim: int | None) -> tuple[str, str] | None:
    """The victim must be a device."""
    if victim is None or victim < devices:
        return None
    return "victim", f"allowed: 0 to {devices - 1} (the devices)"


ENTRY = Attack(mimic, frozenset({"honest"}), refuses)
