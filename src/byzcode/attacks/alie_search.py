"""ALIE with the factor that harms most ("optimal ALIE" of byzfl; used by Allouah et al., 2023, 2302.01772)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byzcode.attacks.alie import mean_and_std
from byzcode.attacks.attack import Attack
from byzcode.attacks.search import Evaluations, most_harmful

if TYPE_CHECKING:
    from torch import Tensor

    from byzcode.attacks.threat import Threat
    from byzcode.randomness import Draws


def alie_search(messages: Tensor, threat: Threat, draws: Draws, *, evaluations: Evaluations = 20) -> Tensor:
    """All liars send ``mean - factor std`` of the honest messages, with the factor from a line search.

    Shapes: (R, N, D) to (R, N, D). The liars know the honest messages and the server's rule, including its random
    numbers. Cost: ``evaluations`` times that of the server. See :func:`byzcode.attacks.search.most_harmful`.
    """
    mean, std = mean_and_std(threat.of_honest(messages))
    return most_harmful(messages, threat, mean, -std, evaluations)


ENTRY = Attack(alie_search, frozenset({"honest", "rule"}), title="ALIE, line search")
