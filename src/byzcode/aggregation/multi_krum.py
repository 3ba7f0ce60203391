"""Multi-Krum (Blanchard et al., 2017, 1703.02757)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byzcode.aggregation.krum import Neighbours, best
from byzcode.aggregation.rule import Rule, near_minority
from byzcode.kernels.order import take_devices

if TYPE_CHECKING:
    from torch import Tensor

Kept = Annotated[int | None, Field(ge=1, description="Number of messages to average; N - f if left out.")]


def multi_krum(messages: Tensor, f: int, *, neighbours: Neighbours = "n-f-2", kept: Kept = None) -> Tensor:
    """The mean of the ``kept`` messages with the least Krum scores; ties are settled by values.

    Shapes: (..., N, D) to (..., D). Cost: N^2 D. Of equal scores, the messages that are first in lexicographic order of
    coordinates are kept, so the order of the devices does not matter. Requires N >= 2 f + 3; liars may send infinities
    and NaN as long as kept <= N - f. No robustness constant is known here.
    """
    number = messages.shape[-2] - f if kept is None else kept
    if number > messages.shape[-2] - f:
        raise ValueError(
            f"kept = {kept} of {messages.shape[-2]} messages may include lies: allowed: at most N - f, f = {f}"
        )
    return take_devices(messages, best(messages, f, neighbours, number)).mean(dim=-2)


def refuses(messages: int, f: int, *, neighbours: str, kept: int | None) -> tuple[str, str] | None:
    """Refuse to average more than N - f messages, which may include a lie."""
    if kept is None or kept <= messages - f:
        return None
    return "kept", f"allowed: 1 to {messages - f} (all but f of the messages)"


ENTRY = Rule(multi_krum, near_minority, refuses=refuses, title="Multi-Krum")
