"""The table of encoders."""

from byzcode.coding.encoder import Encoder
from byzcode.lazy import Table

ENCODERS = Table(
    __name__,
    Encoder,
    (
        "uniform",
        "replication",
        "draco_cyclic",
    ),
)

__all__ = ["ENCODERS"]
