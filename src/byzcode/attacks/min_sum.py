"""Min-Sum (Shejwalkar and Houmansadr, NDSS 2021, "Manipulating the Byzantine")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.attacks.attack import Attack
from byzcode.attacks.perturbation import Direction, perturbed
from byzcode.kernels.distances import lengths

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


def min_sum(messages: Tensor, threat: Threat, draws: Draws, *, direction: Direction = "std") -> Tensor:
    """All liars send the honest mean, moved as far that its summed squared distances are those of an honest message.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages. The lie is ``mean + gamma p`` with the largest
    gamma such that ``sum_i ||mean + gamma p - m_i||^2 <= max_i sum_j ||m_i - m_j||^2``. Both sides are sums of squares
    around the mean, so with ``||p|| = 1`` gamma is ``max_i ||m_i - mean||``: the lie is as far from the mean as the
    farthest honest message. The paper's search approaches it. Cost: N D.
    """
    moved = perturbed(threat.of_honest(messages), direction)
    return threat.replace(messages, moved.lie(lengths(moved.away).amax(dim=-1)))


ENTRY = Attack(min_sum, frozenset({"honest"}), title="Min-Sum")
