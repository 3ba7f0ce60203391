"""Min-Max (Shejwalkar and Houmansadr, NDSS 2021, "Manipulating the Byzantine")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.attacks.attack import Attack
from byzcode.attacks.perturbation import Direction, perturbed
from byzcode.kernels.distances import multiplied_out
from byzcode.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


def min_max(messages: Tensor, threat: Threat, draws: Draws, *, direction: Direction = "std") -> Tensor:
    """All liars send the honest mean, moved as far that it is no farther from any honest message than two of them are.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages. The lie is ``mean + gamma p`` with the largest
    gamma such that ``max_i ||mean + gamma p - m_i|| <= max_ij ||m_i - m_j||``. With ``||p|| = 1``, ``c_i = mean - m_i``
    and B the right-hand side, gamma is the least of ``-<p, c_i> + sqrt(<p, c_i>^2 + B^2 - ||c_i||^2)`` over the honest
    devices i; the paper's search approaches it. Cost: N^2 D.
    """
    moved = perturbed(threat.of_honest(messages), direction)
    bound = multiplied_out(moved.away).amax(dim=(-2, -1)).unsqueeze(-1)
    slope = -torch.linalg.vecdot(moved.away, moved.direction.expand_as(moved.away))
    free = (bound - torch.linalg.vecdot(moved.away, moved.away)).clamp(min=0)
    root = (slope.square() + free).sqrt()
    # Where the slope is positive, the difference of nearly equal numbers is avoided.
    gamma = torch.where(slope > 0, free / (slope + root), root - slope).amin(dim=-1)
    return threat.replace(messages, moved.lie(gamma))


ENTRY = Attack(min_max, frozenset({"honest"}), title="Min-Max")
