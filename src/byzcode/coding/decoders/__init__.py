"""The table of decoders."""

from byzcode.coding.decoder import Decoder
from byzcode.lazy import Table

DECODERS = Table(
    __name__,
    Decoder,
    (
        "repetition",
        "draco_cyclic",
    ),
)

__all__ = ["DECODERS"]
