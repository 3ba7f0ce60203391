"""The status of a seed: it finishes, or ends early at a recorded iteration."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Status(IntEnum):
    """The status of a seed. Files store it with the CF attributes ``flag_values`` and ``flag_meanings``."""

    FINISHED = 0
    DIVERGED = 1  # the loss is finite and exceeds its limit
    OVERFLOWED = 2  # the loss is not finite, and not because of infinities or NaN from Byzantine devices
    POISONED = 3  # the loss is not finite, because Byzantine devices sent infinities or NaN
    UNDEFINED = 4  # the rule is not defined for this number of Byzantine devices and messages: nothing is trained

    @property
    def word(self) -> str:
        """The name in lower case, for texts."""
        return self.name.lower()


#: The statuses of a seed that ended early.
ENDINGS = tuple(status for status in Status if status is not Status.FINISHED)
#: The statuses of a seed that ran away: its loss counts as infinite. An undefined run has no loss.
RAN_AWAY = (Status.DIVERGED, Status.OVERFLOWED, Status.POISONED)

#: The value of ``status_at`` for a seed that finished.
NEVER = -1


def ran_away(status: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of some seeds ran away."""
    return np.isin(status, RAN_AWAY)


def counts(status: NDArray[np.integer]) -> dict[Status, int]:
    """The number of seeds with each ending."""
    return {ending: int((status == ending).sum()) for ending in ENDINGS}


def most_frequent(counted: Mapping[Status, int]) -> Status:
    """The most frequent ending, in a tie the first of the table; FINISHED if no seed ended early."""
    commonest = max(counted, key=lambda ending: counted[ending])
    return commonest if counted[commonest] else Status.FINISHED


def endings_in_words(status: NDArray[np.integer], since: NDArray[np.integer]) -> list[str]:
    """Say how many seeds ran away and when: "3 of 10 seeds diverged at 120 to 340", "1 of 10 seeds overflowed at 5"."""
    words = []
    for ending in RAN_AWAY:
        at = since[status == ending]
        if at.size:
            when = f"{at.min()}" if at.min() == at.max() else f"{at.min()} to {at.max()}"
            words.append(f"{at.size} of {status.size} seeds {ending.word} at {when}")
    return words
