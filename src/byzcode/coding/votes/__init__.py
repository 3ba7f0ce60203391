"""The table of votes over the copies of files."""

from byzcode.coding.vote import Vote
from byzcode.lazy import Table

VOTES = Table(
    __name__,
    Vote,
    (
        "majority",
        "cliques",
        "recomputation",
    ),
)

__all__ = ["VOTES"]
