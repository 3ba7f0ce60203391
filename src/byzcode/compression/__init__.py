"""The table of compressors, which shorten messages.

``COMPRESSORS[name](messages, draws, number_bits, **options)`` maps messages (R, N, D) to the messages that the server
reads, (R, N, D), and the bits that each device sends.
"""

from byzcode.compression.compressor import Compressed, Compressor
from byzcode.lazy import Table

COMPRESSORS = Table(
    __name__,
    Compressor,
    (
        "identity",
        "random_k",
        "bernoulli",
        "top_k",
        "qsgd",
        "scaled_sign",
        "natural",
    ),
)

__all__ = ["COMPRESSORS", "Compressed", "Compressor"]
