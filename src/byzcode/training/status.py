"""What becomes of a seed: it finishes, or something ends it at a recorded iteration."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Status(IntEnum):
    """The status of a seed, as files store it (``flag_values`` and ``flag_meanings`` of CF)."""

    FINISHED = 0
    DIVERGED = 1  # the loss exceeds its limit, and is finite
    OVERFLOWED = 2  # the loss is not finite, though what the liars sent was, or did not get through the rule
    POISONED = 3  # the loss is not finite, because of infinities or NaN that liars sent
    UNDEFINED = 4  # the rule is not defined for so many liars among the messages that it gets: nothing is trained

    @property
    def word(self) -> str:
        """Its name as texts have it."""
        return self.name.lower()


#: What can end a seed.
ENDINGS = tuple(status for status in Status if status is not Status.FINISHED)
#: The endings of a training that ran away: its loss counts as infinite. Of an undefined one there is no loss.
RAN_AWAY = (Status.DIVERGED, Status.OVERFLOWED, Status.POISONED)

#: Since when a seed that finished has another status.
NEVER = -1


def ran_away(status: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of some seeds ran away."""
    return np.isin(status, RAN_AWAY)


def counts(status: NDArray[np.integer]) -> dict[Status, int]:
    """How many of some seeds ended in which way."""
    return {ending: int((status == ending).sum()) for ending in ENDINGS}


def most_frequent(counted: Mapping[Status, int]) -> Status:
    """What ended most of the seeds that ended, of equals the first in the table; FINISHED where none did."""
    found = max(counted, key=lambda ending: counted[ending])
    return found if counted[found] else Status.FINISHED


def told(status: NDArray[np.integer], since: NDArray[np.integer]) -> list[str]:
    """How many seeds ran away, and when: "3 of 10 seeds diverged at 120 to 340", "1 of 10 seeds overflowed at 5"."""
    words = []
    for ending in RAN_AWAY:
        at = since[status == ending]
        if at.size:
            when = f"{at.min()}" if at.min() == at.max() else f"{at.min()} to {at.max()}"
            words.append(f"{at.size} of {status.size} seeds {ending.word} at {when}")
    return words
