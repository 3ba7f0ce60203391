"""How messages are shortened: compressors, in one table.

``COMPRESSORS[name](messages, draws, number_bits, **options)`` maps messages (R, N, D) to what the server reads of
them, (R, N, D), and the bits that each device sent.
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
